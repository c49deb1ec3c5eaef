#pragma once
// What running a plan of cuDNN's takes, whichever operation it is of.
#include <algorithm>
#include <chrono>
#include <initializer_list>
#include <limits>
#include <memory>
#include <optional>

#include "base/check.h"
#include "kernels/conv/cudnn/plan_file.h"
#include "kernels/device/cuda_api.h"
#include "kernels/device/stream.h"

namespace telltale::cudnn {

constexpr int kTimed = 10;  // plans that are timed for each operation
/// How often a choice is made that ended in an error, which may pass: a step runs so often before it is recorded, and
/// in a recording nothing can be tried.
constexpr int kTries = 2;

/// The most workspace that one convolution may ask for where so many bytes of memory are free. With a fixed limit, f32
/// at large batches gets engines that need none and are slow: the data gradient of [512,64,64,64] by 3×3 asks for 1 GiB
/// and 144 KiB.
constexpr size_t workspace_limit(size_t free) { return std::clamp(free / 8, size_t(64) << 20, size_t(4) << 30); }

constexpr size_t aligned(size_t bytes) { return (bytes + 255) / 256 * 256; }

/// The largest power of two, up to 16, that every pointer is a multiple of.
inline int alignment_of(std::initializer_list<const void*> pointers) {
  uintptr_t bits = 16;
  for (const void* p : pointers) bits |= reinterpret_cast<uintptr_t>(p);
  return int(bits & (~bits + 1));
}

/// `run`, `calls` times over, as a recorded graph; null where it cannot be recorded.
template <class F>
std::unique_ptr<void, decltype(&cuda_api::destroy_graph)> recording_of(Stream& s, int calls, const F& run) {
  std::unique_ptr<void, decltype(&cuda_api::destroy_graph)> graph(nullptr, cuda_api::destroy_graph);
  if (!s.is_cuda()) return graph;
  try {
    cuda_api::begin_capture(s.native());
    for (int i = 0; i < calls; ++i) run();
    graph.reset(cuda_api::end_capture(s.native()));
  } catch (const DeviceError&) {
    cuda_api::abandon_capture(s.native());
  }
  return graph;
}

/// Seconds that one call of `run` takes, queued after one another; short ones as a step replays them, from a recorded
/// graph, since the host would take longer to queue them than the GPU to run them. What takes more than twice `enough`
/// is measured once. Throws DeviceError where it does not run.
template <class F>
double seconds_of(Stream& s, const F& run, double enough = std::numeric_limits<double>::infinity()) {
  using Clock = std::chrono::steady_clock;
  const auto measure = [&](int calls, const auto& queue) {
    const Clock::time_point start = Clock::now();
    queue();
    s.sync();
    return std::chrono::duration<double>(Clock::now() - start).count() / calls;
  };
  run();
  s.sync();
  const double once = measure(1, run);
  if (once > 2 * enough) return once;
  constexpr double kShort = 2e-4;
  const int calls = std::clamp(int(2e-3 / once), 3, 50);
  if (once < kShort) {
    if (const auto graph = recording_of(s, calls, run)) {
      const auto replay = [&] { cuda_api::launch_graph(graph.get(), s.native()); };
      measure(calls, replay);  // the first launch also brings the graph to the GPU
      return std::min(measure(calls, replay), measure(calls, replay));
    }
  }
  const auto queue = [&] {
    for (int i = 0; i < calls; ++i) run();
  };
  return std::min(measure(calls, queue), measure(calls, queue));
}

/// The same, or nothing where `run` fails: cuDNN offers engines that then do not run.
template <class F>
std::optional<double> seconds_if_it_runs(Stream& s, const F& run, double enough) {
  try {
    return seconds_of(s, run, enough);
  } catch (const DeviceError&) {
    cuda_api::forget_error();
    return std::nullopt;
  }
}

/// Whether a recorded step may hold `run`: some engines run, but refuse to be recorded, and one of them would make
/// every step eager. On the host nothing is recorded.
template <class F>
bool can_be_recorded(Stream& s, const F& run) {
  return !s.is_cuda() || recording_of(s, 1, run) != nullptr;
}

/// What was fastest on the stream's GPU model.
inline PlanFile plan_file_of(Stream& s) {
  const std::string device = s.description();
  return PlanFile(device.substr(0, device.find(" (cuda")));
}

}  // namespace telltale::cudnn
