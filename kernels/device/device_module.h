#pragma once
// Machine code that was compiled at run time, on the current CUDA device.
#include <string>

#include "kernels/device/stream.h"

namespace telltale {

/// "sm_90": what to compile for. Throws DeviceError without a device.
std::string device_architecture();

/// A loaded cubin. Only a GPU can check it; in a build without CUDA everything throws DeviceError.
class DeviceModule {
 public:
  explicit DeviceModule(const std::string& cubin);
  ~DeviceModule();
  DeviceModule(const DeviceModule&) = delete;
  DeviceModule& operator=(const DeviceModule&) = delete;
  /// Enqueues the extern "C" kernel of this name, whose parameters are the count int64_t n and one struct passed by
  /// value, as a grid-stride loop over n. Throws DeviceError naming the kernel.
  void launch(Stream&, const std::string& kernel, int64_t n, const void* argument) const;

 private:
  [[maybe_unused]] void* library_ = nullptr;
};

}  // namespace telltale
