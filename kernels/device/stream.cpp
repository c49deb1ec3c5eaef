#include "kernels/device/stream.h"

#include <omp.h>

#include <cstdlib>
#include <utility>

#include "base/check.h"
#include "kernels/device/buffer.h"
#include "kernels/device/cuda_api.h"
#include "kernels/device/host_work.h"

namespace telltale {

Stream::Stream() = default;

Stream Stream::cpu(int threads) {
  TT_CHECK(threads >= 0, UsageError, "--threads must be 0 (all cores) or more, got ", threads);
  Stream s;
  s.threads_ = threads > 0 ? threads : omp_get_num_procs();
  omp_set_num_threads(s.threads_);
  return s;
}

Stream Stream::emulated(bool reversed) {
  Stream s = cpu(0);
  s.emulated_ = true;
  s.reversed_ = reversed;
  return s;
}

Stream Stream::cuda(int ordinal) {
  const std::string reason = cuda_unavailable_reason();
  TT_CHECK(reason.empty(), DeviceError, "no CUDA device: ", reason, "; use --device cpu");
  Stream s;  // the process's threads stay as they are: another stream may have set them
  s.threads_ = omp_get_max_threads();
  s.place_ = Place::cuda;
  s.ordinal_ = ordinal;
  s.native_ = cuda_api::create_stream(ordinal);
  return s;
}

Stream Stream::open(const std::string& device, int threads) {
  if (device == "cpu") return cpu(threads);
  if (device == "emulated") return emulated();
  if (device == "auto") return cuda_unavailable_reason().empty() ? cuda(0) : cpu(threads);
  if (device == "cuda") return cuda(0);
  if (device.starts_with("cuda:") && device.size() > 5 &&
      device.find_first_not_of("0123456789", 5) == std::string::npos) {
    return cuda(std::atoi(device.c_str() + 5));
  }
  throw UsageError("--device must be auto, cpu, cuda or cuda:N, got \"" + device + "\"");
}

Stream::Stream(Stream&& o) noexcept { *this = std::move(o); }

Stream& Stream::operator=(Stream&& o) noexcept {
  destroy();
  place_ = o.place_;
  emulated_ = o.emulated_;
  reversed_ = o.reversed_;
  threads_ = o.threads_;
  ordinal_ = o.ordinal_;
  native_ = std::exchange(o.native_, nullptr);
  workspace_ = std::exchange(o.workspace_, nullptr);
  workspace_bytes_ = std::exchange(o.workspace_bytes_, 0);
  resources_ = std::move(o.resources_);
  o.resources_.clear();
  return *this;
}

Stream::~Stream() { destroy(); }

void Stream::destroy() {
  resources_.clear();
  if (workspace_) delete static_cast<Buffer*>(workspace_);
  workspace_ = nullptr;
  if (native_) cuda_api::destroy_stream(native_);
  native_ = nullptr;
}

std::string Stream::description() const {
  if (is_cuda()) return cuda_api::device_name(ordinal_) + " (cuda:" + std::to_string(ordinal_) + ")";
  return std::string(emulated_ ? "device bodies on the CPU" : "CPU") + " (" + std::to_string(threads_) + " threads)";
}

Tensor Stream::workspace(size_t bytes) {
  if (!workspace_ || static_cast<Buffer*>(workspace_)->size() < bytes) {
    sync();
    delete static_cast<Buffer*>(workspace_);
    workspace_ = nullptr;
    workspace_ = new Buffer(place_, bytes);
  }
  const size_t size = static_cast<Buffer*>(workspace_)->size();
  return {static_cast<Buffer*>(workspace_)->data(), {1, 1, int(size >> 20) + 1, 1 << 20}, DType::u8};
}

void Stream::sync() {
  ++host_work().waits;
  if (native_) cuda_api::synchronize(native_);
}

std::string cuda_unavailable_reason() { return cuda_api::unavailable_reason(); }

}  // namespace telltale
