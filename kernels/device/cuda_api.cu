// Host calls of the CUDA runtime. Only a GPU can check what they do; without CUDA they explain themselves.
#if TT_FAKE_GPU  // nvcc includes it by itself
#include <cuda_runtime_api.h>
#endif

#include <cstdio>

#include "base/check.h"
#include "kernels/device/cuda_api.h"

namespace telltale {
#if defined(__CUDACC__) || TT_FAKE_GPU

/// Runs a runtime call and throws DeviceError with its text and the runtime's reason when it fails.
#define TT_CUDA_CHECK(call)                                                                      \
  do {                                                                                           \
    const cudaError_t status_ = (call);                                                          \
    if (status_ != cudaSuccess)                                                                  \
      throw DeviceError(cat(#call, ": ", cudaGetErrorString(status_), " (", int(status_), ")")); \
  } while (false)

void check_launch(const char* what) {
  const cudaError_t status = cudaGetLastError();
  if (status != cudaSuccess) throw DeviceError(cat(what, ": ", cudaGetErrorString(status), " (", int(status), ")"));
}

namespace cuda_api {
std::string unavailable_reason() {
  int count = 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  if (status != cudaSuccess) return cat(cudaGetErrorString(status), " (CUDA error ", int(status), ")");
  return count > 0 ? "" : "no CUDA-capable device is installed";
}
std::string device_name(int ordinal) {
  cudaDeviceProp p{};
  TT_CUDA_CHECK(cudaGetDeviceProperties(&p, ordinal));
  return p.name;
}
int device_count() {
  int count = 0;
  TT_CUDA_CHECK(cudaGetDeviceCount(&count));
  return count;
}
std::string device_identity(int ordinal) {
  cudaDeviceProp p{};
  TT_CUDA_CHECK(cudaGetDeviceProperties(&p, ordinal));
  return {p.uuid.bytes, sizeof p.uuid.bytes};
}
int current_device() {
  int ordinal = 0;
  TT_CUDA_CHECK(cudaGetDevice(&ordinal));
  return ordinal;
}
void* create_stream(int ordinal) {
  int count = 0;
  TT_CUDA_CHECK(cudaGetDeviceCount(&count));
  TT_CHECK(ordinal < count, DeviceError, "cuda:", ordinal, " does not exist: this machine has ", count,
           " CUDA device(s)");
  TT_CUDA_CHECK(cudaSetDevice(ordinal));
  cudaStream_t s = nullptr;
  TT_CUDA_CHECK(cudaStreamCreateWithFlags(&s, cudaStreamNonBlocking));
  return s;
}
static void report(const char* what, cudaError_t status) {
  if (status != cudaSuccess) std::fprintf(stderr, "%s: %s\n", what, cudaGetErrorString(status));
}
void destroy_stream(void* s) { report("cudaStreamDestroy", cudaStreamDestroy(cudaStream_t(s))); }
void synchronize(void* s) { TT_CUDA_CHECK(cudaStreamSynchronize(cudaStream_t(s))); }
void* allocate(size_t bytes) {
  void* p = nullptr;
  const cudaError_t status = cudaMalloc(&p, bytes);
  if (status != cudaSuccess) {
    size_t free = 0, total = 0;
    cudaGetLastError();
    TT_CUDA_CHECK(cudaMemGetInfo(&free, &total));
    throw DeviceError(cat("the GPU is out of memory: ", bytes >> 20, " MiB wanted, ", free >> 20, " of ", total >> 20,
                          " MiB free; use a smaller --batch"));
  }
  return p;
}
void release(void* p) { report("cudaFree", cudaFree(p)); }
void copy_to_device(void* s, void* to, const void* from, size_t bytes) {
  TT_CUDA_CHECK(cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, cudaStream_t(s)));
}
void copy_to_host(void* s, void* to, const void* from, size_t bytes) {
  TT_CUDA_CHECK(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, cudaStream_t(s)));
}
void copy_on_device(void* s, void* to, const void* from, size_t bytes) {
  TT_CUDA_CHECK(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, cudaStream_t(s)));
}
void fill_zero(void* s, void* to, size_t bytes) { TT_CUDA_CHECK(cudaMemsetAsync(to, 0, bytes, cudaStream_t(s))); }

Memory memory() {
  Memory m;
  TT_CUDA_CHECK(cudaMemGetInfo(&m.free, &m.total));
  return m;
}
std::string driver_version() {
  if (std::FILE* file = std::fopen("/sys/module/nvidia/version", "r")) {
    char text[64] = {};
    const bool read = std::fscanf(file, "%63s", text) == 1;
    std::fclose(file);
    if (read) return text;
  }
  int version = 0;
  TT_CUDA_CHECK(cudaDriverGetVersion(&version));
  return cat("CUDA ", version / 1000, ".", version % 1000 / 10);
}
void* allocate_pinned(size_t bytes) {
  void* p = nullptr;
  TT_CUDA_CHECK(cudaMallocHost(&p, bytes));
  return p;
}
void release_pinned(void* p) { report("cudaFreeHost", cudaFreeHost(p)); }

void* create_event() {
  cudaEvent_t e = nullptr;
  TT_CUDA_CHECK(cudaEventCreate(&e));
  return e;
}
void destroy_event(void* e) { report("cudaEventDestroy", cudaEventDestroy(cudaEvent_t(e))); }
void record_event(void* e, void* s) { TT_CUDA_CHECK(cudaEventRecord(cudaEvent_t(e), cudaStream_t(s))); }
void wait_event(void* s, void* e) { TT_CUDA_CHECK(cudaStreamWaitEvent(cudaStream_t(s), cudaEvent_t(e))); }
bool has_happened(void* e) {
  const cudaError_t status = cudaEventQuery(cudaEvent_t(e));
  if (status != cudaErrorNotReady) TT_CUDA_CHECK(status);
  return status == cudaSuccess;
}
void synchronize_event(void* e) { TT_CUDA_CHECK(cudaEventSynchronize(cudaEvent_t(e))); }
double seconds_between(void* from, void* to) {
  float milliseconds = 0;
  synchronize_event(to);
  TT_CUDA_CHECK(cudaEventElapsedTime(&milliseconds, cudaEvent_t(from), cudaEvent_t(to)));
  return double(milliseconds) * 1e-3;
}

void begin_capture(void* s) {
  TT_CUDA_CHECK(cudaStreamBeginCapture(cudaStream_t(s), cudaStreamCaptureModeThreadLocal));
}
void* end_capture(void* s) {
  cudaGraph_t graph = nullptr;
  TT_CUDA_CHECK(cudaStreamEndCapture(cudaStream_t(s), &graph));
  cudaGraphExec_t executable = nullptr;
  const cudaError_t status = cudaGraphInstantiate(&executable, graph, 0);
  report("cudaGraphDestroy", cudaGraphDestroy(graph));
  TT_CUDA_CHECK(status);
  return executable;
}
void abandon_capture(void* s) {
  cudaGraph_t graph = nullptr;
  cudaStreamEndCapture(cudaStream_t(s),
                       &graph);  // fails where the recording is already broken: that is why we are here
  if (graph) report("cudaGraphDestroy", cudaGraphDestroy(graph));
  cudaGetLastError();
}
void launch_graph(void* g, void* s) { TT_CUDA_CHECK(cudaGraphLaunch(cudaGraphExec_t(g), cudaStream_t(s))); }
void forget_error() { cudaGetLastError(); }
void destroy_graph(void* g) { report("cudaGraphExecDestroy", cudaGraphExecDestroy(cudaGraphExec_t(g))); }
}  // namespace cuda_api

#else

namespace cuda_api {
std::string unavailable_reason() { return "this program was built without CUDA (build with -DTT_CUDA=ON)"; }
namespace {
[[noreturn]] void absent() { throw DeviceError("no CUDA device: " + unavailable_reason()); }
}  // namespace
std::string device_name(int) { absent(); }
int device_count() { absent(); }
std::string device_identity(int) { absent(); }
int current_device() { absent(); }
void* create_stream(int) { absent(); }
void destroy_stream(void*) {}
void synchronize(void*) { absent(); }
void* allocate(size_t) { absent(); }
void release(void*) {}
void copy_to_device(void*, void*, const void*, size_t) { absent(); }
void copy_to_host(void*, void*, const void*, size_t) { absent(); }
void copy_on_device(void*, void*, const void*, size_t) { absent(); }
void fill_zero(void*, void*, size_t) { absent(); }
Memory memory() { absent(); }
std::string driver_version() { absent(); }
void* allocate_pinned(size_t) { absent(); }
void release_pinned(void*) {}
void* create_event() { absent(); }
void destroy_event(void*) {}
void record_event(void*, void*) { absent(); }
void wait_event(void*, void*) { absent(); }
bool has_happened(void*) { absent(); }
void synchronize_event(void*) { absent(); }
double seconds_between(void*, void*) { absent(); }
void begin_capture(void*) { absent(); }
void* end_capture(void*) { absent(); }
void abandon_capture(void*) {}
void launch_graph(void*, void*) { absent(); }
void forget_error() {}
void destroy_graph(void*) {}
}  // namespace cuda_api

#endif
}  // namespace telltale
