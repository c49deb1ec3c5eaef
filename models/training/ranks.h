#pragma once
// One training in several processes: which passes of a step each runs, and what they must agree on.
#include <vector>

#include "engine/program.h"
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
  /// The program must lie in the host's memory, unless the process is alone. `synced`: statistics are of all passes
  /// already.
  RankedPasses(Ranks&, Program&, bool synced);
  /// Before a round.
  void begin_round();
  /// After a round in which the first `active` ranks ran a pass. Adds their gradients up. Makes running statistics and
  /// counters what a process that had run these passes in order would have, but for rounding: a pass makes
  /// r ← (1 − momentum)·r + momentum·(of the pass), and so moves wherever r stood by the same factor.
  void end_round(int active);
  /// Makes the program's gradients the sum of all rounds, the same bits on every rank.
  void finish();

 private:
  std::vector<double> statistics() const;
  void combine_statistics(int active);
  template <class F>
  void visit_gradients(F&& f);
  Ranks* ranks_;
  Program* program_;
  bool synced_;
  std::vector<double> before_;
  RankSum<float> sum_;
  RankSum<double> sum_f64_;
};

}  // namespace telltale
