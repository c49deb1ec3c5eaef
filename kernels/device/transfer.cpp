#include "kernels/device/transfer.h"

#include <cstring>
#include <optional>
#include <utility>

#include "base/check.h"
#include "kernels/device/cuda_api.h"

namespace telltale {
namespace {

struct Event {
  void* handle = cuda_api::create_event();
  Event() = default;
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;
  ~Event() { cuda_api::destroy_event(handle); }
};

struct PageLocked {
  void* data;
  explicit PageLocked(size_t bytes) : data(cuda_api::allocate_pinned(bytes)) {}
  PageLocked(const PageLocked&) = delete;
  PageLocked& operator=(const PageLocked&) = delete;
  ~PageLocked() { cuda_api::release_pinned(data); }
};

}  // namespace

/// Its way: host memory → page-locked → staging on the device, by the copy stream → the tensor, by the computing one.
struct Uploader::Slot {
  PageLocked host;
  Buffer staging;
  Event arrived, consumed;
  explicit Slot(size_t bytes) : host(bytes), staging(Place::cuda, bytes) {}
};

struct Uploader::Ring {
  Stream copies;
  std::array<Slot, 2> slots;
  size_t next = 0;
  explicit Ring(size_t bytes) : copies(Stream::cuda(cuda_api::current_device())), slots{Slot(bytes), Slot(bytes)} {}
};

Uploader::Uploader(Stream& compute, size_t bytes) : compute_(&compute), bytes_(bytes) {
  if (compute.is_cuda()) ring_ = std::make_unique<Ring>(bytes);
}
Uploader::Uploader(Uploader&&) noexcept = default;
Uploader::~Uploader() {
  if (!ring_) return;
  try {
    ring_->copies.sync();         // nothing may still read the slots
  } catch (const DeviceError&) {  // the device broke, which whoever runs on it has been told
  }
}

void Uploader::send(Tensor to, const void* from) {
  TT_CHECK(to.bytes() <= bytes_, ShapeError, "an upload of ", to.bytes(), " bytes through slots of ", bytes_);
  if (!ring_) {
    if (to.bytes()) std::memcpy(to.data, from, to.bytes());
    return;
  }
  Slot& slot = ring_->slots[ring_->next++ % ring_->slots.size()];
  void *copies = ring_->copies.native(), *compute = compute_->native();
  cuda_api::synchronize_event(slot.arrived.handle);  // a fresh event has happened
  std::memcpy(slot.host.data, from, to.bytes());
  cuda_api::wait_event(copies, slot.consumed.handle);
  cuda_api::copy_to_device(copies, slot.staging.data(), slot.host.data, to.bytes());
  cuda_api::record_event(slot.arrived.handle, copies);
  cuda_api::wait_event(compute, slot.arrived.handle);
  cuda_api::copy_on_device(compute, to.data, slot.staging.data(), to.bytes());
  cuda_api::record_event(slot.consumed.handle, compute);
}

/// With a copy stream the way is: the tensor → staging on the device, by the computing stream → page-locked, by the
/// copy stream.
struct Downloader::Slot {
  struct Overlap {
    Stream copies;
    Buffer staging;
    Event staged;
    explicit Overlap(size_t bytes) : copies(Stream::cuda(cuda_api::current_device())), staging(Place::cuda, bytes) {}
  };
  PageLocked host;
  Event arrived;
  std::optional<Overlap> overlap;
  Slot(size_t bytes, bool overlaps) : host(bytes) {
    if (overlaps) overlap.emplace(bytes);
  }
};

Downloader::Downloader(Stream& compute, size_t bytes, bool overlap) : compute_(&compute), bytes_(bytes) {
  if (compute.is_cuda()) {
    slot_ = std::make_unique<Slot>(bytes, overlap);
  } else {
    host_.resize(bytes);
  }
}
Downloader::Downloader(Downloader&&) noexcept = default;
Downloader::~Downloader() {
  if (!slot_ || !asked_) return;
  try {
    cuda_api::synchronize_event(slot_->arrived.handle);
  } catch (const DeviceError&) {  // as above
  }
}

void Downloader::request(Tensor from) {
  TT_CHECK(from.bytes() <= bytes_, ShapeError, "a download of ", from.bytes(), " bytes into a slot of ", bytes_);
  TT_CHECK(!asked_, ShapeError, "a download is requested before the last one was taken");
  asked_ = true;
  if (!slot_) {
    if (from.bytes()) std::memcpy(host_.data(), from.data, from.bytes());
    return;
  }
  void *compute = compute_->native(), *copies = compute;
  const void* source = from.data;
  if (auto& overlap = slot_->overlap) {  // its staging is free: what it held was taken
    copies = overlap->copies.native();
    cuda_api::copy_on_device(compute, overlap->staging.data(), from.data, from.bytes());
    cuda_api::record_event(overlap->staged.handle, compute);
    cuda_api::wait_event(copies, overlap->staged.handle);
    source = overlap->staging.data();
  }
  cuda_api::copy_to_host(copies, slot_->host.data, source, from.bytes());
  cuda_api::record_event(slot_->arrived.handle, copies);
}

const void* Downloader::take() {
  TT_CHECK(asked_, ShapeError, "nothing was requested to download");
  asked_ = false;
  if (!slot_) return host_.data();
  cuda_api::synchronize_event(slot_->arrived.handle);
  return slot_->host.data;
}

size_t Readback::request(Tensor from) {
  const size_t slot = requests_ % slots_.size();
  if (std::exchange(waiting_[slot], false)) slots_[slot].take();
  slots_[slot].request(from);
  waiting_[slot] = true;
  return requests_++;
}

const void* Readback::take(size_t number) {
  TT_CHECK(number < requests_ && requests_ - number <= slots_.size(), ShapeError, "download ", number, " of ",
           requests_, " is not there any more");
  waiting_[number % slots_.size()] = false;
  return slots_[number % slots_.size()].take();
}

}  // namespace telltale
