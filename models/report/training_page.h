#pragma once
// What `train` left in a run's folder, as a page.
#include <string>

namespace telltale {

/// Every figure of results.csv by epoch or step (training beside validation where both are known), those of the weights
/// that were kept, at most 12 of the sheets in samples/ (no wider than 1100 pixels), and cards of the recipe, the
/// dataset or the photographs, the run and best.safetensors. Reads those files and config.json in `run_folder`.
/// DataError naming the file that is missing or holds something else.
std::string training_page(const std::string& run_folder);

}  // namespace telltale
