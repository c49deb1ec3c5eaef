// audit: whether a dataset gives its classes away without what was painted.
#include "models/audit/audit.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>

#include "base/args.h"
#include "base/atomic_file.h"
#include "base/interrupt.h"
#include "base/json_text.h"
#include "base/log.h"
#include "base/outputs.h"
#include "base/progress.h"
#include "data/dataset_pictures.h"

namespace telltale {
namespace {

struct Settings {
  std::string data, json;
  int pictures = 2000;
};

int audit(const Settings& s, const CommonOptions& common) {
  const Dataset dataset = Dataset::open(s.data);
  if (!s.json.empty()) check_text_output("--json", s.json, {s.data + "/labels.csv", s.data + "/dataset.json"});
  std::vector<int> rows;
  const size_t all = dataset.labels().size(), count = std::min(all, size_t(s.pictures));
  for (size_t i = 0; i < count; ++i) rows.push_back(int(i * all / count));
  Remarks refused;
  rows = readable_rows(dataset, rows, /*masks=*/true, common.threads, refused);
  for (const std::string& line : refused) spdlog::warn("skipped {}", line);
  Progress bar("audit", int64_t(rows.size()));
  const std::vector<AuditFinding> findings = audit_dataset(dataset, rows, [&] {
    bar.advance();
    TT_CHECK(!interrupted(), Error, "stopped before the end");
  });
  clear_progress_line();
  std::printf("%s", to_markdown(audit_table(findings)).c_str());
  std::fflush(stdout);
  if (!s.json.empty()) {
    const nlohmann::ordered_json report{{"command", common.command},
                                        {"dataset", dataset.dir()},
                                        {"labels_sha256", dataset.labels_sha256()},
                                        {"negatives", dataset.info().negatives},
                                        {"findings", to_json(findings)}};
    write_atomically(s.json, json_text(report, 2) + "\n");
  }
  const auto leaks = std::count_if(findings.begin(), findings.end(), [](const AuditFinding& f) { return f.leaks(); });
  if (!refused.empty()) spdlog::error("{} of {} pictures were skipped", refused.size(), count);
  if (leaks == 0) return refused.empty() ? 0 : 1;
  spdlog::error("{}: its classes can be told without what was painted, in {} of {} ways", s.data, leaks,
                findings.size());
  return 1;
}

}  // namespace
}  // namespace telltale

int main(int argc, char** argv) {
  using namespace telltale;
  Settings s;
  return run_tool(
      {"audit", "Checks that a dataset's classes cannot be told without looking at what was painted."}, argc, argv,
      [&](CLI::App& app) {
        app.add_option("DATASET", s.data, "dataset folder")->required();
        app.add_option("--images", s.pictures, "at most so many, evenly")
            ->check(CLI::Range(40, 10'000'000))
            ->capture_default_str();
        app.add_option("--json", s.json, "a file for the findings");
      },
      [&](const CommonOptions& common) { return audit(s, common); });
}
