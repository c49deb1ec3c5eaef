#include "models/device.h"

#include <thread>

#include "base/launch.h"
#include "base/log.h"
#include "base/processor.h"
#include "kernels/device/cuda_api.h"
#include "kernels/device/fast_bf16.h"
#include "kernels/parts/matrix_math.h"

namespace telltale {

namespace {

/// "cuda" and "auto" of several processes that were started together are a GPU each.
std::string own_device(const std::string& wanted) {
  const Launch launch = find_launch();
  if (launch.size == 1 || (wanted != "cuda" && wanted != "auto") || !cuda_unavailable_reason().empty()) return wanted;
  return cat("cuda:", launch.local_rank % cuda_api::device_count());
}

}  // namespace

Stream open_device(const CommonOptions& o) {
  Stream s = Stream::open(own_device(o.device), o.threads);
  const std::string reason = o.device == "auto" && !s.is_cuda() ? cuda_unavailable_reason() : "";
  spdlog::info("running on {}{}", s.description(), reason.empty() ? "" : " (no GPU: " + reason + ")");
  return s;
}

std::string machine_description() {
  std::string text = cat(processor_name(), " (", std::thread::hardware_concurrency(), " threads)");
  if (cuda_api::unavailable_reason().empty()) text += cat(", ", cuda_api::device_name(0));
  return text;
}

std::string resolved_precision(const std::string& name, const Stream& s) {
  if (name != "auto") return name;
  return name_of(!s.is_cuda() && has_fast_bf16() ? DType::bf16 : DType::f32);
}

DType precision_of(const std::string& name) {
  for (DType t : {DType::f32, DType::f64, DType::bf16, DType::f16}) {
    if (name == name_of(t)) return t;
  }
  throw UsageError("--precision must be f32, tf32, f64, bf16 or f16, got \"" + name + "\"");
}

DType precision_of(const std::string& name, Stream& s) {
  const bool tf32 = name == "tf32";
  TT_CHECK(!tf32 || s.is_cuda(), UsageError, "--precision tf32 needs a CUDA device, and this is ", s.description(),
           ": use f32");
  s.resource<MatrixMath>().tf32 = tf32;
  return tf32 ? DType::f32 : precision_of(name);
}

}  // namespace telltale
