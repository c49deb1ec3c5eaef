#pragma once
// Streams, events and recordings of the fake device: who waits for whom.
#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "tests/fake_gpu/device.h"

namespace telltale::fake_gpu {

struct Work {
  const char* what;
  std::function<void()> run;
  std::function<bool()> ready = {};  ///< none: as soon as its turn comes
};

struct EventState {
  cudaStream_t stream = nullptr;    ///< that recorded it last
  uint64_t recorded = 0, done = 0;  ///< how often
  uint64_t recording = 0;           ///< what it marks is in this recording and will not happen by itself
  size_t joins = 0;                 ///< of its stream's work in that recording, so much goes before
  std::chrono::steady_clock::time_point when;
};

/// Everything that is not memory. Its lock is held by every call.
struct Device {
  std::recursive_mutex lock;
  std::vector<cudaStream_t> streams;
  std::map<const char*, std::unique_ptr<std::vector<char>>> pinned;  ///< page-locked host memory
  cudaError_t broken = cudaSuccess;
  size_t capacity = size_t(std::stoull(setting("memory", "8192"))) << 20;
  uint64_t allocations = 0, refused_allocation = std::stoull(setting("no_memory", "0"));
  const std::string order = setting("order", "late");
  uint64_t draws = 0;
  uint64_t recordings = 0;  ///< begun so far
  const int count = std::stoi(setting("devices", "1"));
  int current = 0;  ///< all are one: a process works on one of them
};
Device& device();

/// The error of the calling thread's last failed call, which it keeps until it is asked.
cudaError_t& last_error();
/// Remembers a failure as the last one.
cudaError_t failed(cudaError_t error);

/// Runs what waits in a stream until `enough()` or nothing is left; false where its next work is not ready.
bool run_ready(cudaStream_t stream, const std::function<bool()>& enough);
/// The same; waits for what is not ready.
void run_until(cudaStream_t stream, const std::function<bool()>& enough);
void run_all(cudaStream_t stream);
void run_everything();
/// Runs what comes before the event's last record.
void run_to(const EventState& event);

/// Writes down a line, where a trace was asked for.
void trace(const std::string& line);

/// Why the calling thread may not wait, allocate or free now: it records, and that breaks the recording.
cudaError_t forbidden_in_recording();

}  // namespace telltale::fake_gpu

struct CUstream_st {
  std::deque<telltale::fake_gpu::Work> queue;
  CUstream_st* records = nullptr;   ///< into this stream's recording: its own, or one it joined by waiting for an event
  size_t recorded = 0, joined = 0;  ///< of its work, in the recording, and before an event that the other waited for
  // Of the stream that began it:
  uint64_t number = 0;
  bool recording_broken = false;
  std::thread::id recorder;
  std::vector<telltale::fake_gpu::Work> recording;
};
struct CUevent_st {
  std::shared_ptr<telltale::fake_gpu::EventState> state = std::make_shared<telltale::fake_gpu::EventState>();
};
struct CUgraph_st {
  std::vector<telltale::fake_gpu::Work> work;
};
struct CUgraphExec_st {
  std::shared_ptr<const std::vector<telltale::fake_gpu::Work>> work;
};
