// bench kernels: every op's bench case, beside the copy bandwidth and the multiply-add peak measured in the same run.
#include <algorithm>
#include <cstdio>
#include <fstream>
#include <regex>

#include "kernels/case/op_case.h"
#include "models/device.h"
#include "tools/bench/bench.h"
#include "tools/bench/ceilings.h"

namespace telltale {
namespace {

/// The rows of an earlier run's report; none where there is no such file.
nlohmann::json rows_of(const std::string& path) {
  std::ifstream file(path);
  if (!file) return nlohmann::json::array();
  const auto report = nlohmann::json::parse(file, nullptr, /*allow_exceptions=*/false);
  TT_CHECK(report.contains("kernels"), DataError, path, " is no report of `bench kernels`: give --resume another");
  return report["kernels"];
}

bool has_row(const nlohmann::json& rows, const OpCase& c) {
  return std::any_of(rows.begin(), rows.end(),
                     [&](const nlohmann::json& r) { return r.at("op") == c.op && r.at("size") == c.size; });
}

}  // namespace

int bench_kernels(const CommonOptions& common, const KernelBenchOptions& options) {
  std::regex filter;
  try {
    filter = std::regex(options.filter);
  } catch (const std::regex_error& e) {
    throw UsageError("--filter \"" + options.filter + "\" is not a regular expression: " + e.what());
  }
  TT_CHECK(!options.resume || !options.json.empty(), UsageError, "--resume goes on with the report that --json names");
  Stream stream = open_device(common);
  const DType type = precision_of(options.precision, stream);
  const Ceilings most = measure_ceilings(stream, type);
  std::printf("%s\ncopy %.1f GB/s (read + write), %s %.0f GFLOP/s, %s\n", machine_description().c_str(),
              most.copy_bytes / 1e9, most.flop_of.c_str(), most.flop / 1e9, name_of(type));
  if (most.bf16_dot > 0) std::printf("AVX512_BF16 dot products %.0f GFLOP/s\n", most.bf16_dot / 1e9);
  std::printf("\n");
  std::printf("%-24s %-34s %10s %10s %10s %9s %7s %9s %7s\n", "op", "size", "median ms", "min ms", "max ms", "GB/s",
              "% copy", "GFLOP/s", "% peak");
  nlohmann::json rows = options.resume ? rows_of(options.json) : nlohmann::json::array();
  int matching = 0;
  for (const OpCase& c : all_cases()) {
    if (!c.bench || !std::regex_search(c.op + " " + c.size, filter)) continue;
    if (std::find(c.dtypes.begin(), c.dtypes.end(), type) == c.dtypes.end()) continue;
    ++matching;
    if (has_row(rows, c)) continue;
    CaseRun run(stream, type, CaseRun::Mode::bench, 1);
    c.run(run);
    const Timing t = timing_of(run.seconds());
    const double gbs = run.bytes / t.median / 1e9, gflops = run.flops / t.median / 1e9;
    std::printf("%-24s %-34s %10.3f %10.3f %10.3f %9.1f %7.0f %9.1f %7.0f\n", c.op.c_str(), c.size.c_str(),
                t.median * 1e3, t.low * 1e3, t.high * 1e3, gbs, 100e9 * gbs / most.copy_bytes, gflops,
                100e9 * gflops / most.flop);
    std::fflush(stdout);
    rows.push_back({{"op", c.op},
                    {"size", c.size},
                    {"median_s", t.median},
                    {"min_s", t.low},
                    {"max_s", t.high},
                    {"runs", t.count},
                    {"bytes", run.bytes},
                    {"flop", run.flops}});
    // Row by row: whoever stops this keeps what it has timed.
    write_report(options.json, {{"machine", machine_description()},
                                {"device", stream.description()},
                                {"precision", options.precision},
                                {"copy_bytes_per_s", most.copy_bytes},
                                {"flop_per_s", most.flop},
                                {"flop_per_s_of", most.flop_of},
                                {"bf16_dot_flop_per_s", most.bf16_dot},
                                {"kernels", rows}});
  }
  TT_CHECK(matching > 0, UsageError, "no bench case in ", name_of(type), " matches --filter \"", options.filter, "\"");
  return 0;
}

}  // namespace telltale
