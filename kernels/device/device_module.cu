// The CUDA runtime's library calls. Only a GPU can check what they do.
#if TT_FAKE_GPU  // nvcc includes it by itself
#include <cuda_runtime_api.h>
#endif

#include <cstdio>

#include "kernels/device/device_module.h"
#include "kernels/device/launch.h"

namespace telltale {
#if defined(__CUDACC__) || TT_FAKE_GPU
namespace {

void check_module(cudaError_t status, const std::string& what) {
  TT_CHECK(status == cudaSuccess, DeviceError, what, ": ", cudaGetErrorString(status), " (", int(status), ")");
}

}  // namespace

std::string device_architecture() {
  int device = 0, major = 0, minor = 0;
  check_module(cudaGetDevice(&device), "cudaGetDevice");
  check_module(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device), "compute capability");
  check_module(cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, device), "compute capability");
  return cat("sm_", major, minor);
}

DeviceModule::DeviceModule(const std::string& cubin) {
  cudaLibrary_t library = nullptr;
  check_module(cudaLibraryLoadData(&library, cubin.data(), nullptr, nullptr, 0, nullptr, nullptr, 0),
               "loading compiled device code");
  library_ = library;
}

DeviceModule::~DeviceModule() {
  const cudaError_t status = cudaLibraryUnload(cudaLibrary_t(library_));
  // A module that lives until the program ends outlives the driver.
  if (status != cudaSuccess && status != cudaErrorCudartUnloading) {
    std::fprintf(stderr, "cudaLibraryUnload: %s\n", cudaGetErrorString(status));
  }
}

void DeviceModule::launch(Stream& s, const std::string& name, int64_t n, const void* argument) const {
  if (n <= 0) return;
  cudaKernel_t kernel = nullptr;
  check_module(cudaLibraryGetKernel(&kernel, cudaLibrary_t(library_), name.c_str()), name);
  void* arguments[] = {&n, const_cast<void*>(argument)};
  const unsigned grid = unsigned(std::min<int64_t>((n + 255) / 256, kMaxGrid));
  check_module(cudaLaunchKernel(reinterpret_cast<const void*>(kernel), dim3(grid), dim3(256), arguments, 0,
                                cudaStream_t(s.native())),
               name);
}

#else

namespace {
[[noreturn]] void refuse() {
  throw DeviceError("this program was built without CUDA; build with -DTT_CUDA=ON or use --device cpu");
}
}  // namespace

std::string device_architecture() { refuse(); }
DeviceModule::DeviceModule(const std::string&) { refuse(); }
DeviceModule::~DeviceModule() = default;
void DeviceModule::launch(Stream&, const std::string&, int64_t, const void*) const { refuse(); }

#endif
}  // namespace telltale
