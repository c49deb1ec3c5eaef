#pragma once
// One training in several processes: which passes of a step each runs, and what they must agree on.
#include <array>
#include <optional>
#include <vector>

#include "engine/capture.h"
#include "engine/program.h"
#include "models/training/gpu_ranks.h"
#include "models/training/settings.h"

namespace telltale {

/// in_ranks, with settings.ranks set.
int run_in_ranks(RunSettings& settings, const std::function<int()>& train);

/// Throws Error on every rank, naming the first rank and the first parameter or statistic that is not bit for bit that
/// of rank 0, and `when` ("after step 100"). Waits for the stream.
void require_same_parameters(Ranks&, const Program&, const std::string& when);

/// As long as it lives, batch norms of this process normalise over all ranks' rows. Every rank must run the same
/// layers, on the host.
class SyncedBatchNorm {
 public:
  explicit SyncedBatchNorm(Ranks&);
  ~SyncedBatchNorm();
  SyncedBatchNorm(const SyncedBatchNorm&) = delete;
  SyncedBatchNorm& operator=(const SyncedBatchNorm&) = delete;
};

/// The passes of a step in several processes. They go round: pass p is rank p % ranks', so that adding up rank by rank
/// and round by round is the order in which one process adds them.
class RankedPasses {
 public:
  /// `synced`: statistics are of all passes already. Throws UsageError for gradients that cannot be sent so. While it
  /// lives, it observes the program, unless a lone process adds gradients as backward makes them.
  RankedPasses(Ranks&, Program&, const GradientExchange&, bool synced);
  ~RankedPasses();
  RankedPasses(const RankedPasses&) = delete;
  RankedPasses& operator=(const RankedPasses&) = delete;
  /// Whether backward shall add to the gradients of the passes before: then nothing else does.
  bool add_in_backward() const { return !sum_; }
  /// Before a round, in which the first `active` ranks run a pass; `last` of the step.
  void begin_round(int active, bool last);
  /// Runs this rank's pass, which ends with backward; gradients are summed as they become whole. Rounds of the same
  /// kind() may share a recording.
  void pass(const std::function<void()>& run, Capture* capture = nullptr);
  int kind() const { return sum_ ? 4 * active_ + 2 * begun_ + last_ : 0; }
  /// After a round. Makes running statistics and counters what a process that had run these passes in order would have,
  /// but for rounding: a pass makes r ← (1 − momentum)·r + momentum·(of the pass), and so moves wherever r stood by the
  /// same factor. After the last round the program's gradients are the sum of all, the same bits on every rank.
  void end_round();
  /// Of GPUs. After the last round of a step, counted from anywhere; and before the host waits for what that step
  /// enqueued: who does not come is named, as on the host. No more than two steps may be under way.
  void end_step(int64_t step);
  void await(int64_t step);

 private:
  std::vector<double> statistics() const;
  void combine_statistics();
  /// The parameter that begins there has its gradient, and so have those before it in the arena.
  void give_through(int64_t parameter);
  Ranks* ranks_;
  Program* program_;
  bool synced_;
  bool during_ = false;  ///< buckets are given while backward runs
  int active_ = 0;
  bool begun_ = false, last_ = true;  ///< a round of this step went before; this is its last
  std::vector<double> before_;
  std::vector<GradientBucket> buckets_;
  size_t given_ = 0;               ///< of them in this round
  std::unique_ptr<GpuLink> gpus_;  ///< null on the host
  std::optional<GpuStatistics> gpu_statistics_;
  std::array<void*, 2> ended_ = {};  ///< events, of odd and even steps
  std::unique_ptr<GradientSum> sum_;
};

}  // namespace telltale
