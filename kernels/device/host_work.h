#pragma once
// What must not happen inside a step that a graph records: counted, so that a test without a GPU can tell.
#include <cstdint>

namespace telltale {

/// What the calling thread made happen so far. Inside a step none of them may grow: a recorded step can neither
/// allocate, nor wait, nor copy between host and device.
struct HostWork {
  int64_t allocations = 0;  ///< Buffers made
  int64_t waits = 0;        ///< Stream::sync, and the waits of uploads and downloads
  int64_t copies = 0;       ///< uploads and downloads
  bool operator==(const HostWork&) const = default;
};
/// This thread's counters; they only grow.
HostWork& host_work();

}  // namespace telltale
