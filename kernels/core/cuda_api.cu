// Host calls of the CUDA runtime. Only a GPU can check what they do; without CUDA they explain themselves.
#include <cstdio>

#include "kernels/core/check.h"
#include "kernels/core/cuda_api.h"

namespace telltale {
#ifdef __CUDACC__

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
}  // namespace cuda_api

#else

namespace cuda_api {
std::string unavailable_reason() { return "this program was built without CUDA (build with -DTT_CUDA=ON)"; }
namespace {
[[noreturn]] void absent() { throw DeviceError("no CUDA device: " + unavailable_reason()); }
}  // namespace
std::string device_name(int) { absent(); }
void* create_stream(int) { absent(); }
void destroy_stream(void*) {}
void synchronize(void*) { absent(); }
void* allocate(size_t) { absent(); }
void release(void*) {}
void copy_to_device(void*, void*, const void*, size_t) { absent(); }
void copy_to_host(void*, void*, const void*, size_t) { absent(); }
void copy_on_device(void*, void*, const void*, size_t) { absent(); }
void fill_zero(void*, void*, size_t) { absent(); }
}  // namespace cuda_api

#endif
}  // namespace telltale
