// The libraries that kernels run on, as --version tells them.
#include "base/check.h"
#include "base/version.h"
#include "kernels/device/cuda_api.h"
#if TT_ONEDNN
#include <oneapi/dnnl/dnnl.hpp>
#endif
#if TT_CUDNN
#include "kernels/device/cudnn_graph.h"
#endif

namespace telltale {
namespace {

std::string found_onednn() {
#if TT_ONEDNN
  const dnnl_version_t& v = *dnnl::version();
  return cat(v.major, ".", v.minor, ".", v.patch, v.cpu_runtime == DNNL_RUNTIME_OMP ? " (OpenMP)" : "");
#else
  return "not in this build";
#endif
}

std::string found_cuda() {
#if TT_CUDA
  const std::string reason = cuda_api::unavailable_reason();
  return reason.empty() ? cat(cuda_api::device_name(0), ", driver ", cuda_api::driver_version())
                        : cat("no device: ", reason);
#else
  return "not in this build";
#endif
}

std::string found_cudnn() {
#if TT_CUDNN
  try {
    const size_t v = cudnn::library().version();
    return cat(v / 10000, ".", v % 10000 / 100, ".", v % 100);
  } catch (const DeviceError& e) {
    return e.what();
  }
#else
  return "not in this build";
#endif
}

const bool kSaid = add_version_line("oneDNN", found_onednn) && add_version_line("CUDA", found_cuda) &&
                   add_version_line("cuDNN", found_cudnn);

}  // namespace
}  // namespace telltale
