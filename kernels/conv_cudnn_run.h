#pragma once
// What running a plan of cuDNN's takes, whichever operation it is of.
#include <algorithm>
#include <chrono>
#include <initializer_list>

#include "kernels/core/cudnn_plan_file.h"
#include "kernels/core/stream.h"

namespace telltale::cudnn {

constexpr int kTimed = 10;                      // plans that are timed for each operation
constexpr size_t kWorkspace = size_t(1) << 30;  // the most that one convolution may ask for

constexpr size_t aligned(size_t bytes) { return (bytes + 255) / 256 * 256; }

/// The largest power of two, up to 16, that every pointer is a multiple of.
inline int alignment_of(std::initializer_list<const void*> pointers) {
  uintptr_t bits = 16;
  for (const void* p : pointers) bits |= reinterpret_cast<uintptr_t>(p);
  return int(bits & (~bits + 1));
}

/// Seconds that one call of `run` takes, queued after one another.
template <class F>
double seconds_of(Stream& s, const F& run) {
  using Clock = std::chrono::steady_clock;
  const auto measure = [&](int calls) {
    const Clock::time_point start = Clock::now();
    for (int i = 0; i < calls; ++i) run();
    s.sync();
    return std::chrono::duration<double>(Clock::now() - start).count() / calls;
  };
  run();
  s.sync();
  const int calls = std::clamp(int(2e-3 / measure(1)), 3, 50);
  return std::min(measure(calls), measure(calls));
}

/// What was fastest on the stream's GPU model.
inline PlanFile plan_file_of(Stream& s) {
  const std::string device = s.description();
  return PlanFile(device.substr(0, device.find(" (cuda")));
}

}  // namespace telltale::cudnn
