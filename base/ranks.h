#pragma once
// Processes that do one job together: started by a launcher, they meet through MPI, which is opened when there are
// several. Rank 0 leads.
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/launch.h"

namespace CLI {
class App;
}

namespace telltale {

/// All ranks must call the same functions in the same order; each returns when all have called it. A rank that waits
/// longer than the timeout names those that are missing and ends the job.
class Ranks {
 public:
  /// A process alone: nothing waits for anybody.
  Ranks();
  /// Meets the others. Throws UsageError when this build has no MPI, or when MPI finds other ranks than the launcher
  /// started.
  Ranks(const Launch&, double timeout_seconds);
  ~Ranks();
  Ranks(const Ranks&) = delete;
  Ranks& operator=(const Ranks&) = delete;
  /// The one that stands for every process alone.
  static Ranks& none();

  int rank() const { return rank_; }
  int size() const { return size_; }
  bool alone() const { return size_ == 1; }
  bool leads() const { return rank_ == 0; }

  /// The sum of every rank's number.
  int total(int mine);
  /// Whether it is true on any rank.
  bool any(bool);
  /// Every rank's text, by rank.
  std::vector<std::string> gather(const std::string& mine);
  /// Rank 0 does the work, and its text goes to all. What it throws is thrown on every rank, as UsageError, DataError
  /// or Error.
  std::string tell(const std::function<std::string()>& work);
  void lead(const std::function<void()>& work);

  /// Every rank does it; what any throws is thrown on every rank, the lowest rank's where several throw.
  void each(const std::function<void()>& work);

  /// The frame of a whole program: runs `work` and takes leave of the others. When all fail alike, rank 0 throws and
  /// the others return 0, so that a user reads one line; a rank that fails alone throws, and when the others do not end
  /// within seconds, it says why and ends the job.
  int run(const std::function<int()>& work);

 private:
  struct Mpi;
  template <class T>
  friend class RankSum;
  friend class Dealer;
  /// Where a rank's slice of `count` numbers begins.
  int slice(size_t count, int rank) const { return int(count * size_t(rank) / size_t(size_)); }
  std::vector<int> slices(size_t count, int words) const;
  void gather_words(const void* from, const std::vector<int>& words, void* to);
  /// Until what was begun on a channel is done, or `done` says so.
  void wait(int channel);
  void wait(const std::function<bool()>& done);
  static bool done_within(const std::function<bool()>& done, double seconds);
  [[noreturn]] void give_up();
  /// Says it in this rank's name and ends every process.
  [[noreturn]] void end_job(const std::string& why, int code);

  int rank_ = 0, size_ = 1;
  double timeout_ = 0;
  std::unique_ptr<Mpi> mpi_;
};

/// Sums numbers over ranks in a fixed order, round after round: each number becomes
/// (((rank 0's of round 1 + rank 1's of round 1) + …) + rank 0's of round 2) + …, as one process that goes through them
/// all in that order adds them. The same bits on every rank. Every rank sums a slice and hands it round at the end.
template <class T>
class RankSum {
 public:
  explicit RankSum(Ranks& ranks) : ranks_(&ranks) {}
  /// A round, to which the first `active` ranks give; the others' values are not read. Always as many numbers.
  void add(std::span<const T> values, int active);
  /// The sum, to every rank; the next round begins anew.
  void take(std::span<T> values);

 private:
  Ranks* ranks_;
  std::vector<T> total_, received_;
  bool begun_ = false;
};
extern template class RankSum<float>;
extern template class RankSum<double>;

/// Runs a program's work in the ranks that a launcher started, or alone. Only rank 0 says anything that is no error.
/// Returns the exit code.
int in_ranks(double timeout_seconds, const std::function<int(Ranks&)>& work);
/// Throws UsageError, naming what was asked, where a launcher started several processes.
void require_one_process(const Ranks&, const std::string& what);
/// Offers --rank-timeout, in seconds.
void add_rank_timeout(CLI::App&, double& seconds);

}  // namespace telltale
