// bench kernels: every op's bench case, beside the copy bandwidth and the multiply-add peak measured in the same run.
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <regex>

#include "kernels/core/op_case.h"
#include "tools/bench/bench.h"
#include "tools/common/device.h"

namespace telltale {
namespace {

/// Bytes read + written per second by a plain copy, best of several.
double copy_bandwidth(Stream& s) {
  const Shape shape{1, 1, 1, 64 << 20};
  const OwnedTensor from(s.place(), shape, DType::f32), to(s.place(), shape, DType::f32);
  fill_zero(s, from);
  double best = 0;
  for (int i = 0; i < 6; ++i) {
    const double start = now();
    if (s.is_cuda()) {
      copy(s, to, from);
    } else {
      const int parts = s.threads();
#pragma omp parallel for num_threads(parts)
      for (int p = 0; p < parts; ++p) {
        const size_t part = from.tensor.bytes() / size_t(parts);
        std::memcpy(to.tensor.as<char>() + size_t(p) * part, from.tensor.as<char>() + size_t(p) * part, part);
      }
    }
    s.sync();
    best = std::max(best, 2.0 * double(from.tensor.bytes()) / (now() - start));
  }
  return best;
}

/// Multiply-adds of f32 on every thread, counted as two operations each; 0 on a GPU, whose matrix peak needs its
/// library.
double multiply_add_peak(const Stream& s) {
  if (s.is_cuda()) return 0;
  constexpr int kLanes = 256, kRounds = 2000000;
  double best = 0;
  for (int repeat = 0; repeat < 3; ++repeat) {
    float sink = 0;
    const double start = now();
#pragma omp parallel num_threads(s.threads()) reduction(+ : sink)
    {
      float a[kLanes];
      for (int i = 0; i < kLanes; ++i) a[i] = float(i);
      for (int r = 0; r < kRounds; ++r) {
#pragma omp simd
        for (int i = 0; i < kLanes; ++i) a[i] = a[i] * 0.999f + 0.5f;
      }
      for (float v : a) sink += v;
    }
    const double seconds = now() - start;
    if (sink != 0) best = std::max(best, 2.0 * kLanes * kRounds * s.threads() / seconds);
  }
  return best;
}

}  // namespace

int bench_kernels(const CommonOptions& common, const KernelBenchOptions& options) {
  const DType type = precision_of(options.precision);
  std::regex filter;
  try {
    filter = std::regex(options.filter);
  } catch (const std::regex_error& e) {
    throw UsageError("--filter \"" + options.filter + "\" is not a regular expression: " + e.what());
  }
  Stream stream = open_device(common);
  const double bandwidth = copy_bandwidth(stream), peak = multiply_add_peak(stream);
  std::printf("%s\ncopy %.1f GB/s (read + write), multiply-add %.0f GFLOP/s, %s\n\n", machine_description().c_str(),
              bandwidth / 1e9, peak / 1e9, name_of(type));
  std::printf("%-24s %-34s %10s %10s %10s %9s %7s %9s %7s\n", "op", "size", "median ms", "min ms", "max ms", "GB/s",
              "% copy", "GFLOP/s", "% peak");
  nlohmann::json rows = nlohmann::json::array();
  for (const OpCase& c : all_cases()) {
    if (!c.bench || !std::regex_search(c.op + " " + c.size, filter)) continue;
    if (std::find(c.dtypes.begin(), c.dtypes.end(), type) == c.dtypes.end()) continue;
    CaseRun run(stream, type, CaseRun::Mode::bench, 1);
    c.run(run);
    const Timing t = timing_of(run.seconds());
    const double gbs = run.bytes / t.median / 1e9, gflops = run.flops / t.median / 1e9;
    std::printf("%-24s %-34s %10.3f %10.3f %10.3f %9.1f %7.0f %9.1f %7.0f\n", c.op.c_str(), c.size.c_str(),
                t.median * 1e3, t.low * 1e3, t.high * 1e3, gbs, 100e9 * gbs / bandwidth, gflops,
                peak > 0 ? 100e9 * gflops / peak : 0.0);
    std::fflush(stdout);
    rows.push_back({{"op", c.op},
                    {"size", c.size},
                    {"median_s", t.median},
                    {"min_s", t.low},
                    {"max_s", t.high},
                    {"runs", t.count},
                    {"bytes", run.bytes},
                    {"flop", run.flops}});
  }
  TT_CHECK(!rows.empty(), UsageError, "no bench case in ", name_of(type), " matches --filter \"", options.filter, "\"");
  write_report(options.json, {{"machine", machine_description()},
                              {"device", stream.description()},
                              {"precision", options.precision},
                              {"copy_bytes_per_s", bandwidth},
                              {"multiply_add_flop_per_s", peak},
                              {"kernels", rows}});
  return 0;
}

}  // namespace telltale
