#include "tools/train/report.h"

#include <CLI/CLI.hpp>

#include "base/atomic_file.h"
#include "base/outputs.h"
#include "models/report/training_page.h"

namespace telltale {

void add_report_flag(CLI::App& app, std::string& file) {
  app.add_option("--report", file, "also a page of the run, one file that opens anywhere: curves, recipe, weights");
}

void check_report(const std::string& file, const RunSettings& s, std::vector<std::string> inputs) {
  if (file.empty()) return;
  // The run's folder need not be there yet, and must be empty: the page lies beside it.
  TT_CHECK(!lies_in(file, s.out), UsageError, "--report ", file, ": lies in the run's folder ", s.out,
           ", which the run keeps for itself");
  if (s.init != "none") inputs.push_back(s.init);
  std::erase(inputs, "");
  check_text_output("--report", file, inputs);
}

void check_report(const std::string& file, const TrainSettings& s, std::vector<std::string> inputs) {
  TT_CHECK(file.empty() || !s.check, UsageError, "--report tells of a run, and --check trains nothing");
  for (const std::string& data : s.data) inputs.insert(inputs.end(), {data + "/labels.csv", data + "/dataset.json"});
  check_report(file, static_cast<const RunSettings&>(s), std::move(inputs));
}

void write_training_page(const std::string& file, const std::string& run_folder) {
  if (!file.empty()) write_atomically(file, training_page(run_folder));
}

}  // namespace telltale
