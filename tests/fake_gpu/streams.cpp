#include "tests/fake_gpu/streams.h"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <fstream>
#include <optional>

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
  const size_t longest = order == "early" ? 0 : kLongestQueue;
  run_ready(stream, [=] { return stream->queue.size() <= longest; });
  if (order != "mixed" || draw() % 4 != 0) return;
  const auto& streams = device().streams;
  cudaStream_t any = streams[size_t(draw()) % streams.size()];
  const size_t left = any->queue.size() - std::min<size_t>(draw() % 8, any->queue.size());
  run_ready(any, [=] { return any->queue.size() <= left; });
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

bool run_ready(cudaStream_t stream, const std::function<bool()>& enough) {
  std::optional<Running> all;  // the host is let in and kept out once, not for each work
  while (!enough() && !stream->queue.empty()) {
    const auto& ready = stream->queue.front().ready;
    if (ready && device().broken == cudaSuccess && !ready()) return false;
    if (!all) all.emplace("a stream");
    run_first(stream);
  }
  return true;
}
void run_until(cudaStream_t stream, const std::function<bool()>& enough) {
  while (!run_ready(stream, enough)) std::this_thread::sleep_for(std::chrono::microseconds(50));
}
void run_all(cudaStream_t stream) {
  run_until(stream, [] { return false; });
}
void run_everything() {
  for (cudaStream_t s : device().streams) run_all(s);
}
void run_to(const EventState& event) {
  const uint64_t wanted = event.recorded;
  if (event.done >= wanted) return;
  trace("waits");
  run_until(event.stream, [&] { return event.done >= wanted; });
}

void trace(const std::string& line) {
  static auto& file = *[] {
    const std::string path = setting("trace");
    return path.empty() ? new std::ofstream : new std::ofstream(path);  // never destroyed, as the device
  }();
  if (file.is_open()) file << line << std::endl;
}

cudaError_t forbidden_in_recording() {
  for (cudaStream_t s : device().streams) {
    if (s->records != s || s->recorder != std::this_thread::get_id()) continue;
    s->recording_broken = true;
    return failed(cudaErrorStreamCaptureUnsupported);
  }
  return cudaSuccess;
}

cudaError_t enqueue(cudaStream_t stream, const char* what, std::function<void()> work, std::function<bool()> ready) {
  const std::scoped_lock hold(device().lock);
  if (device().broken != cudaSuccess) return failed(device().broken);
  if (cudaStream_t into = stream->records) {
    if (into->recording_broken) return failed(cudaErrorStreamCaptureInvalidated);
    // In the order of the calls, which keeps to every stream's order and to every event.
    into->recording.push_back({what, std::move(work), std::move(ready)});
    ++stream->recorded;
    return cudaSuccess;
  }
  trace(std::string("runs ") + what);
  stream->queue.push_back({what, std::move(work), std::move(ready)});
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
  return stream->records != nullptr;
}

void break_recording(cudaStream_t stream) {
  const std::scoped_lock hold(device().lock);
  if (stream->records) stream->records->recording_broken = true;
}

void run_what_is_ready() {
  const std::scoped_lock hold(device().lock);
  for (size_t i = 0; i < device().streams.size(); ++i) run_ready(device().streams[i], [] { return false; });
}

void break_device(cudaError_t error) {
  const std::scoped_lock hold(device().lock);
  device().broken = error;
}

}  // namespace telltale::fake_gpu
