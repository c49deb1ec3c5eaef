#pragma once
// What `train` left in a run's folder, as a page.
#include <string>

namespace telltale {

/// Every figure of results.csv by epoch (training beside validation where both are known), the best epoch's, and cards
/// of the recipe, the dataset, the run and best.safetensors. Reads those files and config.json in `run_folder`.
/// DataError naming the file that is missing or holds something else.
std::string training_page(const std::string& run_folder);

}  // namespace telltale
