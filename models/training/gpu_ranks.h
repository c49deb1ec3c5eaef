#pragma once
// Ranks whose nets run on GPUs, one each: what they sum goes from GPU to GPU, by NCCL, on a stream beside the one that
// computes.
#include <memory>

#include "engine/program.h"
#include "kernels/device/nccl.h"
#include "models/training/gradient_sum.h"

namespace telltale {

/// Throws UsageError on every rank, naming two ranks, when they would share a GPU.
void require_own_gpu(Ranks&, const Stream&);

/// The stream beside, and what joins it with the other ranks'. It must outlive what is made with it.
class GpuLink {
 public:
  /// `compute`: the stream that the net runs on. All ranks make theirs together; a process alone needs no NCCL.
  GpuLink(Ranks&, Stream& compute);
  ~GpuLink();
  GpuLink(const GpuLink&) = delete;
  GpuLink& operator=(const GpuLink&) = delete;
  Ranks& ranks() const { return *ranks_; }
  Stream& compute() const { return *compute_; }
  Stream& beside() { return beside_; }
  /// Null alone.
  Nccl* nccl() const { return nccl_.get(); }
  /// What is enqueued beside from here on finds what was enqueued to compute; and the other way round.
  void follow();
  void rejoin();

 private:
  Ranks* ranks_;
  Stream* compute_;
  Stream beside_;
  std::unique_ptr<Nccl> nccl_;
  void *computed_, *came_;  // events
};

/// Sums on the GPUs, on the link's stream; give() enqueues, also into a recording. See gradient_sum_on_host.
std::unique_ptr<GradientSum> gradient_sum_on_gpus(GpuLink&, const ParamArena&, std::vector<GradientBucket>, bool bf16);

/// Running statistics and counters of a program that several GPUs move (RankedPasses::end_round), enqueued.
class GpuStatistics {
 public:
  GpuStatistics(GpuLink&, Program&);
  /// As they are before a round.
  void remember();
  /// After a round to which the first `active` ranks gave.
  void combine(int active);

 private:
  GpuLink* link_;
  Tensor all_;  ///< from the first of them to the last, and what lies between
  OwnedTensor places_, kept_, before_, mine_, reached_;
};

}  // namespace telltale
