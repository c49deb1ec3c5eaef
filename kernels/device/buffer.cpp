#include "kernels/device/buffer.h"

#include <cstdlib>
#include <cstring>
#include <new>

#include "base/check.h"
#include "kernels/device/cuda_api.h"
#include "kernels/device/host_work.h"

namespace telltale {

HostWork& host_work() {
  thread_local HostWork work;
  return work;
}

Buffer::Buffer(Place place, size_t bytes) : bytes_(bytes), place_(place) {
  ++host_work().allocations;
  if (bytes == 0) bytes = 64;
  if (place == Place::cuda) {
    data_ = cuda_api::allocate(bytes);
    return;
  }
  data_ = std::aligned_alloc(64, (bytes + 63) / 64 * 64);
  TT_CHECK(data_, DeviceError, "out of memory: ", bytes >> 20, " MiB wanted; use a smaller --batch");
}

Buffer::~Buffer() {
  if (!data_) return;
  if (place_ == Place::cuda) {
    cuda_api::release(data_);
  } else {
    std::free(data_);
  }
}

void upload(Stream& s, Tensor to, const void* from) {
  ++host_work().copies;
  if (!s.is_cuda()) {
    if (to.bytes()) std::memcpy(to.data, from, to.bytes());
    return;
  }
  cuda_api::copy_to_device(s.native(), to.data, from, to.bytes());
  s.sync();
}

void download(Stream& s, void* to, Tensor from) {
  ++host_work().copies;
  if (!s.is_cuda()) {
    if (from.bytes()) std::memcpy(to, from.data, from.bytes());
    return;
  }
  cuda_api::copy_to_host(s.native(), to, from.data, from.bytes());
  s.sync();
}

void fill_zero(Stream& s, Tensor t) {
  if (s.is_cuda()) {
    cuda_api::fill_zero(s.native(), t.data, t.bytes());
  } else {
    if (t.bytes()) std::memset(t.data, 0, t.bytes());
  }
}

void copy(Stream& s, Tensor to, Tensor from) {
  TT_CHECK(to.bytes() == from.bytes(), ShapeError, "copy: ", to_string(from.shape), " does not fit ",
           to_string(to.shape));
  if (s.is_cuda()) {
    cuda_api::copy_on_device(s.native(), to.data, from.data, to.bytes());
  } else {
    std::memmove(to.data, from.data, to.bytes());
  }
}

}  // namespace telltale
