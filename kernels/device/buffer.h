#pragma once
// Memory that owns itself, on the host or on a device, and copies between them.
#include <utility>

#include "kernels/device/stream.h"

namespace telltale {

/// Move-only bytes at one place, 64-byte aligned (256 on CUDA). Not initialised. Throws DeviceError when memory runs
/// out, saying how much was asked.
class Buffer {
 public:
  Buffer() = default;
  Buffer(Place place, size_t bytes);
  Buffer(Buffer&& o) noexcept { swap(o); }
  Buffer& operator=(Buffer&& o) noexcept {
    swap(o);
    return *this;
  }
  ~Buffer();
  void* data() const { return data_; }
  size_t size() const { return bytes_; }
  Place place() const { return place_; }
  /// A view of part of it.
  Tensor view(Shape shape, DType dtype, size_t offset = 0) const {
    return {static_cast<char*>(data_) + offset, shape, dtype};
  }

 private:
  void swap(Buffer& o) noexcept {
    std::swap(data_, o.data_);
    std::swap(bytes_, o.bytes_);
    std::swap(place_, o.place_);
  }
  void* data_ = nullptr;
  size_t bytes_ = 0;
  Place place_ = Place::host;
};

/// A buffer and the tensor that fills it.
struct OwnedTensor {
  Buffer buffer;
  Tensor tensor;
  OwnedTensor() = default;
  OwnedTensor(Place place, Shape shape, DType dtype)
      : buffer(place, size_t(shape.numel()) * size_of(dtype)), tensor(buffer.view(shape, dtype)) {}
  operator const Tensor&() const { return tensor; }
};

/// Copies host memory to a tensor on the stream's device, and back. Both wait until it is done.
void upload(Stream& s, Tensor to, const void* from);
void download(Stream& s, void* to, Tensor from);
/// Enqueues filling a tensor's bytes with zero.
void fill_zero(Stream& s, Tensor t);
/// Enqueues a copy of equal bytes on one device.
void copy(Stream& s, Tensor to, Tensor from);

}  // namespace telltale
