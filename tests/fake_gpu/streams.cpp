#include "tests/fake_gpu/streams.h"

#include <atomic>
#include <cstdlib>

#include "tests/fake_gpu/memory.h"

namespace telltale::fake_gpu {
namespace {

constexpr size_t kLongestQueue = 1024;  // of work that waits; on a device, too, more makes the host wait

/// Numbers that look random, the same on every run.
uint64_t draw() {
  uint64_t& state = device().draws;
  state = state * 6364136223846793005u + 1442695040888963407u;
  return state >> 33;
}

void run_first(cudaStream_t stream) {
  const Work work = std::move(stream->queue.front());
  stream->queue.pop_front();
  if (device().broken != cudaSuccess) return;
  const Running running(work.what);
  work.run();
}

/// Some of what waits, as the setting `order` says.
void run_some(cudaStream_t stream) {
  const std::string& order = device().order;
  while (stream->queue.size() > (order == "early" ? 0 : kLongestQueue)) run_first(stream);
  if (order != "mixed" || draw() % 4 != 0) return;
  const auto& streams = device().streams;
  cudaStream_t any = streams[size_t(draw()) % streams.size()];
  for (uint64_t n = draw() % 8; n > 0 && !any->queue.empty(); --n) run_first(any);
}

}  // namespace

std::string setting(const std::string& name, const std::string& otherwise) {
  const char* value = std::getenv("TT_FAKE_GPU");
  const std::string all = "," + std::string(value ? value : "") + ",";
  const size_t at = all.find("," + name + "=");
  if (at == std::string::npos) return otherwise;
  const size_t from = at + name.size() + 2;
  return all.substr(from, all.find(',', from) - from);
}

Device& device() {
  static Device& d = []() -> Device& {
    auto& fresh = *new Device;  // never destroyed: programs free device memory as they end
    keep_host_out(fresh.order == "late");
    return fresh;
  }();
  return d;
}

cudaError_t& last_error() {
  thread_local cudaError_t error = cudaSuccess;
  return error;
}

cudaError_t failed(cudaError_t error) { return last_error() = error; }

void run_until(cudaStream_t stream, const std::function<bool()>& enough) {
  if (enough() || stream->queue.empty()) return;
  const Running all("a stream");  // the host is let in and kept out once, not for each work
  while (!enough() && !stream->queue.empty()) run_first(stream);
}
void run_all(cudaStream_t stream) {
  run_until(stream, [] { return false; });
}
void run_everything() {
  for (cudaStream_t s : device().streams) run_all(s);
}
void run_to(const EventState& event) {
  const uint64_t wanted = event.recorded;
  if (event.done < wanted) run_until(event.stream, [&] { return event.done >= wanted; });
}

cudaError_t forbidden_in_recording() {
  for (cudaStream_t s : device().streams) {
    if (!s->records || s->recorder != std::this_thread::get_id()) continue;
    s->recording_broken = true;
    return failed(cudaErrorStreamCaptureUnsupported);
  }
  return cudaSuccess;
}

cudaError_t enqueue(cudaStream_t stream, const char* what, std::function<void()> work) {
  const std::scoped_lock hold(device().lock);
  if (device().broken != cudaSuccess) return failed(device().broken);
  if (stream->records) {
    if (stream->recording_broken) return failed(cudaErrorStreamCaptureInvalidated);
    stream->recording.push_back({what, std::move(work)});
    return cudaSuccess;
  }
  stream->queue.push_back({what, std::move(work)});
  run_some(stream);
  return cudaSuccess;
}

void launch(void* stream, const char* what, std::function<void(bool)> body) {
  static std::atomic<unsigned> launches = 0;
  const bool reversed = launches++ % 2 != 0;
  enqueue(static_cast<cudaStream_t>(stream), what, [=] { body(reversed); });  // what fails, cudaGetLastError tells
}

bool is_recording(cudaStream_t stream) {
  const std::scoped_lock hold(device().lock);
  return stream->records;
}

void break_recording(cudaStream_t stream) {
  const std::scoped_lock hold(device().lock);
  stream->recording_broken = stream->records;
}

void break_device(cudaError_t error) {
  const std::scoped_lock hold(device().lock);
  device().broken = error;
}

}  // namespace telltale::fake_gpu
