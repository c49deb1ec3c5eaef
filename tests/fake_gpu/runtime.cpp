// The CUDA runtime's calls, as far as kernels/device/ makes them.
#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "tests/fake_gpu/memory.h"
#include "tests/fake_gpu/streams.h"

using namespace telltale::fake_gpu;  // NOLINT: every line here is about it

namespace {

/// Holds the device for one call.
class Call {
 public:
  Call() : hold_(device().lock) {}
  bool is_broken() const { return device().broken != cudaSuccess; }

 private:
  std::scoped_lock<std::recursive_mutex> hold_;
};

cudaError_t broken() { return failed(device().broken); }

bool is_pinned(const void* p, size_t bytes) {
  const auto& all = device().pinned;
  const auto above = all.upper_bound(static_cast<const char*>(p));
  if (above == all.begin()) return false;
  const auto& [start, block] = *std::prev(above);
  return static_cast<const char*>(p) + bytes <= start + block->size();
}

}  // namespace

extern "C" {

// --- the device
// -------------------------------------------------------------------------------------------------------
cudaError_t cudaGetDeviceCount(int* count) {
  *count = device().count;
  return cudaSuccess;
}
cudaError_t cudaGetDevice(int* ordinal) {
  *ordinal = device().current;
  return cudaSuccess;
}
cudaError_t cudaSetDevice(int ordinal) {
  if (ordinal < 0 || ordinal >= device().count) return failed(cudaErrorInvalidDevice);
  device().current = ordinal;
  return cudaSuccess;
}
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* p, int ordinal) {
  if (ordinal < 0 || ordinal >= device().count) return failed(cudaErrorInvalidDevice);
  *p = {};
  std::strcpy(p->name, "Fake GPU");
  p->uuid.bytes[0] = char(ordinal);
  return cudaSuccess;
}
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr name, int) {
  *value = name == cudaDevAttrComputeCapabilityMajor ? 9 : 0;
  return cudaSuccess;
}
cudaError_t cudaDriverGetVersion(int* version) {
  *version = CUDART_VERSION;
  return cudaSuccess;
}

const char* cudaGetErrorString(cudaError_t error) {
  switch (error) {
    case cudaSuccess: return "no error";
    case cudaErrorInvalidValue: return "invalid argument";
    case cudaErrorMemoryAllocation: return "out of memory";
    case cudaErrorInvalidDevice: return "invalid device ordinal";
    case cudaErrorIllegalAddress: return "an illegal memory access was encountered";
    case cudaErrorStreamCaptureUnsupported: return "operation not permitted when stream is capturing";
    case cudaErrorStreamCaptureInvalidated: return "operation failed due to a previous error during capture";
    case cudaErrorStreamCaptureUnjoined: return "capturing stream has unjoined work";
    case cudaErrorNotReady: return "device not ready";
    case cudaErrorStreamCaptureIsolation: return "dependency created on uncaptured work in another stream";
    case cudaErrorCapturedEvent: return "operation not permitted on an event last recorded in a capturing stream";
    case cudaErrorNotSupported: return "operation not supported";
    default: return "an error the fake GPU has no words for";
  }
}
cudaError_t cudaGetLastError() {
  const Call call;
  return call.is_broken() ? device().broken : std::exchange(last_error(), cudaSuccess);
}

// --- memory
// -----------------------------------------------------------------------------------------------------------
cudaError_t cudaMalloc(void** p, size_t bytes) {
  const Call call;
  if (call.is_broken()) return broken();
  if (const cudaError_t error = forbidden_in_recording()) return error;
  const bool refused = ++device().allocations == device().refused_allocation;
  *p = refused ? nullptr : allocate(bytes, device().capacity);
  return *p ? cudaSuccess : failed(cudaErrorMemoryAllocation);
}
cudaError_t cudaFree(void* p) {
  const Call call;
  if (!p) return cudaSuccess;
  if (const cudaError_t error = forbidden_in_recording()) return error;
  run_everything();
  const bool known = release(p);
  if (call.is_broken()) return broken();
  return known ? cudaSuccess : failed(cudaErrorInvalidValue);
}
cudaError_t cudaMemGetInfo(size_t* free, size_t* total) {
  const Call call;
  if (call.is_broken()) return broken();
  *total = device().capacity;
  *free = *total - allocated();
  return cudaSuccess;
}
cudaError_t cudaMallocHost(void** p, size_t bytes) {
  const Call call;
  if (call.is_broken()) return broken();
  if (const cudaError_t error = forbidden_in_recording()) return error;
  auto block = std::make_unique<std::vector<char>>(std::max<size_t>(bytes, 1), char(0xff));
  *p = block->data();
  device().pinned.emplace(block->data(), std::move(block));
  return cudaSuccess;
}
cudaError_t cudaFreeHost(void* p) {
  const Call call;
  if (const cudaError_t error = forbidden_in_recording()) return error;
  run_everything();
  const bool known = device().pinned.erase(static_cast<const char*>(p)) > 0;
  if (call.is_broken()) return broken();
  return known ? cudaSuccess : failed(cudaErrorInvalidValue);
}

// Page-locked memory is read and written when the copy runs, other host memory before the call returns, as CUDA
// promises. A recording of the latter would read what lies there later: here that is an error.
cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind kind, cudaStream_t stream) {
  const Call call;
  if (bytes == 0) return cudaSuccess;
  const bool to_device = kind != cudaMemcpyDeviceToHost, from_device = kind != cudaMemcpyHostToDevice;
  if (is_device_memory(to, bytes) != to_device || is_device_memory(from, bytes) != from_device)
    return failed(cudaErrorInvalidValue);
  const void* host = !to_device ? to : !from_device ? from : nullptr;
  if (host) trace((to_device ? "to_device " : "to_host ") + std::to_string(bytes));
  const bool pageable = host && !is_pinned(host, bytes);
  if (pageable && stream->records) return forbidden_in_recording();
  if (pageable && to_device) {
    const auto* bytes_now = static_cast<const char*>(from);
    return enqueue(stream, "a copy to the device", [to, kept = std::vector<char>(bytes_now, bytes_now + bytes)] {
      std::memcpy(to, kept.data(), kept.size());
    });
  }
  const cudaError_t error = enqueue(stream, "a copy", [=] { std::memmove(to, from, bytes); });
  if (error == cudaSuccess && pageable) {
    trace("waits");
    run_all(stream);
  }
  return call.is_broken() ? broken() : error;
}
cudaError_t cudaMemsetAsync(void* to, int value, size_t bytes, cudaStream_t stream) {
  const Call call;
  if (bytes == 0) return cudaSuccess;
  if (!is_device_memory(to, bytes)) return failed(cudaErrorInvalidValue);
  return enqueue(stream, "a memset", [=] { std::memset(to, value, bytes); });
}

// --- streams and events
// -----------------------------------------------------------------------------------------------
cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  const Call call;
  if (call.is_broken()) return broken();
  device().streams.push_back(*stream = new CUstream_st);
  return cudaSuccess;
}
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  const Call call;
  run_all(stream);
  std::erase(device().streams, stream);
  delete stream;
  return call.is_broken() ? broken() : cudaSuccess;
}
cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  const Call call;
  if (const cudaError_t error = forbidden_in_recording()) return error;
  if (!stream->queue.empty()) trace("waits");
  run_all(stream);
  return call.is_broken() ? broken() : cudaSuccess;
}
cudaError_t cudaEventCreate(cudaEvent_t* event) {
  *event = new CUevent_st;
  return cudaSuccess;
}
cudaError_t cudaEventDestroy(cudaEvent_t event) {
  const Call call;
  delete event;
  return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  const Call call;
  if (call.is_broken()) return broken();
  const std::shared_ptr<EventState> state = event->state;
  state->recording = stream->records ? stream->records->number : 0;
  if (stream->records) {
    state->stream = stream;
    state->joins = stream->recorded;
    return cudaSuccess;
  }
  state->stream = stream;
  ++state->recorded;
  return enqueue(stream, "an event", [state] {
    ++state->done;
    state->when = std::chrono::steady_clock::now();
  });
}
// A stream that waits for an event of a recording is in that recording from then on, and has to be waited for before it
// ends.
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  const Call call;
  const std::shared_ptr<EventState> state = event->state;
  if (state->recording) {
    cudaStream_t into = state->stream->records;
    if (!into || into->number != state->recording) return failed(cudaErrorCapturedEvent);  // it is over
    if (stream->records && stream->records != into) return failed(cudaErrorStreamCaptureIsolation);
    if (!stream->records) stream->recorded = stream->joined = 0;
    stream->records = into;
    state->stream->joined = std::max(state->stream->joined, state->joins);
    return cudaSuccess;
  }
  if (stream->records) {
    stream->records->recording_broken = true;
    return failed(cudaErrorStreamCaptureIsolation);
  }
  if (state->recorded == 0) return cudaSuccess;
  const uint64_t wanted = state->recorded;
  const auto happened = [state, wanted] { return state->done >= wanted; };
  return enqueue(
      stream, "waiting for an event", [] {},
      [state, happened] { return run_ready(state->stream, happened) && happened(); });
}
cudaError_t cudaEventQuery(cudaEvent_t event) {
  const Call call;
  const std::shared_ptr<EventState> state = event->state;
  if (state->recording) return failed(cudaErrorCapturedEvent);
  const uint64_t wanted = state->recorded;
  if (state->done < wanted) run_ready(state->stream, [&] { return state->done >= wanted; });
  if (call.is_broken()) return broken();
  return state->done >= wanted ? cudaSuccess : cudaErrorNotReady;
}
cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  const Call call;
  if (event->state->recording) return failed(cudaErrorCapturedEvent);
  run_to(*event->state);
  return call.is_broken() ? broken() : cudaSuccess;
}
cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t from, cudaEvent_t to) {
  const Call call;
  *milliseconds = std::chrono::duration<float, std::milli>(to->state->when - from->state->when).count();
  return cudaSuccess;
}

// --- recordings
// -------------------------------------------------------------------------------------------------------
cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
  const Call call;
  if (call.is_broken()) return broken();
  if (stream->records) return failed(cudaErrorIllegalState);
  stream->records = stream;
  stream->recorded = stream->joined = 0;
  stream->number = ++device().recordings;
  stream->recording_broken = false;
  stream->recorder = std::this_thread::get_id();
  stream->recording.clear();
  return cudaSuccess;
}
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  const Call call;
  *graph = nullptr;
  if (stream->records != stream) return failed(cudaErrorIllegalState);
  bool unjoined = false;
  for (cudaStream_t s : device().streams) {
    if (s->records != stream) continue;
    unjoined = unjoined || (s != stream && s->joined < s->recorded);
    s->records = nullptr;
  }
  if (stream->recording_broken) return failed(cudaErrorStreamCaptureInvalidated);
  if (unjoined) return failed(cudaErrorStreamCaptureUnjoined);
  *graph = new CUgraph_st{std::move(stream->recording)};
  return cudaSuccess;
}
cudaError_t cudaGraphInstantiate(cudaGraphExec_t* executable, cudaGraph_t graph, unsigned long long) {
  const Call call;
  if (const cudaError_t error = forbidden_in_recording()) return error;
  *executable = new CUgraphExec_st{std::make_shared<const std::vector<Work>>(graph->work)};
  return cudaSuccess;
}
cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  delete graph;
  return cudaSuccess;
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable) {
  const Call call;
  delete executable;  // what was launched of it holds its work
  return cudaSuccess;
}
cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream) {
  const Call call;
  for (const Work& w : *executable->work)
    if (const cudaError_t error = enqueue(stream, w.what, w.run, w.ready)) return error;
  return cudaSuccess;
}

// --- code compiled at run time: machine code, which no host loop stands in for
// ----------------------------------------
cudaError_t cudaLibraryLoadData(cudaLibrary_t*, const void*, cudaJitOption*, void**, unsigned, cudaLibraryOption*,
                                void**, unsigned) {
  return failed(cudaErrorNotSupported);
}
cudaError_t cudaLibraryUnload(cudaLibrary_t) { return failed(cudaErrorNotSupported); }
cudaError_t cudaLibraryGetKernel(cudaKernel_t*, cudaLibrary_t, const char*) { return failed(cudaErrorNotSupported); }
cudaError_t cudaLaunchKernel(const void*, dim3, dim3, void**, size_t, cudaStream_t) {
  return failed(cudaErrorNotSupported);
}

}  // extern "C"
