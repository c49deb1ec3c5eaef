#pragma once
// NCCL, bound at run time: GPUs of several processes give each other tensors.
#include <memory>
#include <span>
#include <string>

#include "kernels/device/stream.h"

namespace telltale {

/// One process's end of what joins the GPUs of all. All make the same calls in the same order, on streams of the device
/// it was made on; a call enqueues, also in a recording, and is done when all have made it. Throws DeviceError in
/// NCCL's words.
class Nccl {
 public:
  /// Bytes by which processes find each other; one makes them for all. Throws DeviceError where there is no NCCL.
  static std::string meeting();
  /// Returns once all `size` of them have come.
  Nccl(const std::string& meeting, int rank, int size);
  ~Nccl();
  Nccl(const Nccl&) = delete;
  Nccl& operator=(const Nccl&) = delete;
  /// given[r] to rank r, and into taken[r] what r gave this one. An absent tensor is none; where both ranks are this
  /// one, both are.
  void exchange(Stream&, std::span<const Tensor> given, std::span<const Tensor> taken);
  /// all ← every rank's `mine`, of equal bytes, one behind the other by rank.
  void gather(Stream&, Tensor mine, Tensor all);

 private:
  void* communicator_ = nullptr;
};

}  // namespace telltale
