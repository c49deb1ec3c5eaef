#pragma once
// Processes that do one job together: started by a launcher, they meet through MPI, which is opened when there are
// several. Rank 0 leads.
#include <atomic>
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

  /// Until `done` says so, which hangs on the other ranks.
  void await(const std::function<bool()>& done);

  /// The frame of a whole program: runs `work` and takes leave of the others. When all fail alike, rank 0 throws and
  /// the others return 0, so that a user reads one line; a rank that fails alone throws, and when the others do not end
  /// within seconds, it says why and ends the job.
  int run(const std::function<int()>& work);

 private:
  struct Mpi;
  friend class RankChannel;
  friend class Dealer;
  void gather_words(const void* from, const std::vector<int>& words, void* to);
  /// Until what was begun on a channel is done.
  void wait(int channel);
  static bool done_within(const std::function<bool()>& done, double seconds);
  [[noreturn]] void give_up();
  /// Says it in this rank's name and ends every process.
  [[noreturn]] void end_job(const std::string& why, int code);

  int rank_ = 0, size_ = 1, threads_ = 0;
  double timeout_ = 0;
  std::unique_ptr<Mpi> mpi_;
};

/// A conversation of all ranks beside that of Ranks' functions: another thread may hold it meanwhile. There is one, of
/// several ranks. All ranks make the same calls in the same order; each returns when this rank's part is done.
class RankChannel {
 public:
  explicit RankChannel(Ranks& ranks) : ranks_(&ranks) {}
  /// Whether the installed MPI lets another thread than the first hold it.
  bool may_be_anothers() const { return ranks_->threads_ != 0; }
  /// To each rank its words of `from`, one rank's behind the other's, and to `to` what they gave this one; counted in
  /// words of 4 bytes, an entry a rank.
  void exchange(const void* from, const std::vector<int>& given, void* to, const std::vector<int>& taken);
  /// To every rank all ranks' words, one behind the other; `words`: of each.
  void gather(const void* from, const std::vector<int>& words, void* to);
  /// From any thread: whoever waits, waits for the others some seconds more, and then throws Error.
  void leave() { left_ = true; }

 private:
  void wait();
  Ranks* ranks_;
  std::atomic<bool> left_ = false;
};

/// Runs a program's work in the ranks that a launcher started, or alone. Only rank 0 says anything that is no error.
/// Returns the exit code.
int in_ranks(double timeout_seconds, const std::function<int(Ranks&)>& work);
/// Throws UsageError, naming what was asked, where a launcher started several processes.
void require_one_process(const Ranks&, const std::string& what);
/// Offers --rank-timeout, in seconds.
void add_rank_timeout(CLI::App&, double& seconds);

}  // namespace telltale
