#pragma once
// The sum of a step's gradients over its passes, whichever process ran them: in buckets, while backward still runs.
#include <memory>
#include <vector>

#include "base/ranks.h"
#include "engine/params.h"

namespace telltale {

/// Sums in the order of the passes: each number becomes (((rank 0's of round 1 + rank 1's of round 1) + …) + rank 0's
/// of round 2) + …, as one process that goes through the passes in that order adds them, and is the same on every rank.
/// All ranks make the same calls in the same order.
class GradientSum {
 public:
  virtual ~GradientSum() = default;
  /// A round begins, to which the first `active` ranks give; of the others nothing is read. `last`: after it the
  /// gradients become the sum.
  virtual void begin(int active, bool last) = 0;
  /// The next bucket, counted from 0 in each round, is whole. Returns at once where it can.
  virtual void give(size_t bucket) = 0;
  /// Every bucket was given. Once it returns, what is enqueued on the program's stream may overwrite the gradients, and
  /// after the last round finds their sum.
  virtual void end() = 0;
};

/// A slice of the gradients' arena, whose order is backward's: behind the bucket before it.
struct GradientBucket {
  int64_t last = 0;  ///< where its last parameter begins: with that one's gradient it is whole
  int64_t end = 0;   ///< in elements; of the last bucket, where the arena ends
};
/// Buckets of at least `bytes`, but for the last. Each ends with a parameter.
std::vector<GradientBucket> gradient_buckets(const Params&, double bytes);

/// On the host, through MPI. `in_thread`: a thread sums, and give() returns at once; it starts with the first bucket.
/// Each round's gradients are sent and summed as they are; with `bf16` (for f32) every rank's are rounded to bf16,
/// their sum is made in f32 and rounded to bf16 at the end. The arena must outlive it.
std::unique_ptr<GradientSum> gradient_sum_on_host(Ranks&, const ParamArena&, std::vector<GradientBucket>, bool bf16,
                                                  bool in_thread);

}  // namespace telltale
