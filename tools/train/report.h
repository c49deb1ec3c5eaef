#pragma once
// train --report: a run over a dataset as a page.
#include <string>
#include <vector>

#include "models/training/settings.h"

namespace telltale {

/// Offers --report FILE.html.
void add_report_flag(CLI::App&, std::string& file);
/// Before a run: throws where the file cannot be written (base/outputs.h) or nothing will be there to tell of.
/// `inputs`: what the run reads besides its data and --init; empty names are none.
void check_report(const std::string& file, const TrainSettings&, std::vector<std::string> inputs);
/// The same of a run over photographs or whatever else.
void check_report(const std::string& file, const RunSettings&, std::vector<std::string> inputs);
/// After it: writes the page of the run's folder, if one was asked for.
void write_training_page(const std::string& file, const std::string& run_folder);

}  // namespace telltale
