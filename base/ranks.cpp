#include "base/ranks.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <mutex>
#include <numeric>
#include <optional>
#include <thread>

#include "base/check.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "base/outcome.h"
#include "base/ranks_mpi.h"

namespace telltale {
namespace {

using Clock = std::chrono::steady_clock;
constexpr double kOthersEnd = 5, kOthersAnswer = 3;  // seconds
constexpr double kLook = 0.5;                        // seconds between looks at who else waits
constexpr double kLeaderWorks = 10;                  // times the timeout, for what rank 0 does while the others wait

/// Where each rank's share begins when they lie one behind the other.
std::vector<int> places_of(const std::vector<int>& words) {
  std::vector<int> at(words.size());
  std::exclusive_scan(words.begin(), words.end(), at.begin(), 0);
  return at;
}

}  // namespace

Ranks::Ranks() = default;
Ranks::~Ranks() = default;

Ranks& Ranks::none() {
  static Ranks alone;
  return alone;
}

Ranks::Ranks(const Launch& launch, double timeout_seconds) : timeout_(timeout_seconds) {
  if (launch.size == 1) return;
  mpi_ = std::make_unique<Mpi>();
  TT_CHECK(mpi_->start(&rank_, &size_, &threads_) == 0, Error, "MPI cannot start");
  const int found = size_;
  if (found == launch.size) return;
  mpi_->finish();
  throw UsageError(
      cat(launch.by, " started ", launch.size, " processes, but MPI joins ", found,
          ": start them with the launcher of the MPI that this was built with (mpirun, or srun --mpi=pmix)"));
}

bool Ranks::done_within(const std::function<bool()>& done, double seconds) {
  constexpr int kEager = 100;  // tries before it leaves the core to others
  const Clock::time_point start = Clock::now();
  for (int tries = 0; !done(); ++tries) {
    if (tries < kEager) {
      std::this_thread::yield();
      continue;
    }
    if (seconds_since(start) > seconds) return false;
    std::this_thread::sleep_for(std::chrono::microseconds(100));
  }
  return true;
}

void Ranks::wait(int channel) {
  await([&] { return mpi_->done(channel) != 0; });
}

void Ranks::await(const std::function<bool()>& done) {
  const Clock::time_point start = Clock::now();
  while (!done_within(done, kLook)) {
    // Whoever gives up asks who else is waiting.
    bool asked = false;
    for (int r = 0; r < size_; ++r) asked |= r != rank_ && mpi_->heard_from(r);
    if (asked || seconds_since(start) > timeout_) give_up();
  }
}

void Ranks::give_up() {
  static std::mutex one;  // of the threads that wait ends the job
  one.lock();
  mpi_->call_out();
  const Clock::time_point start = Clock::now();
  std::vector<int> missing;
  int first = rank_;  // of those that wait
  do {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    missing.clear();
    first = rank_;
    for (int r = 0; r < size_; ++r) {
      if (r == rank_) continue;
      if (!mpi_->heard_from(r))
        missing.push_back(r);
      else
        first = std::min(first, r);
    }
  } while (seconds_since(start) < kOthersAnswer);
  // One of them speaks for all; the others go down with it.
  if (first != rank_) std::this_thread::sleep_for(std::chrono::seconds(int(kOthersEnd)));
  std::string names;
  for (const int r : missing) names += cat(names.empty() ? "" : ", ", r);
  end_job(cat("rank ", names.empty() ? "?" : names,
              " does not answer: ending all. Continue with --resume; --rank-timeout says how long to wait"),
          1);
}

void Ranks::end_job(const std::string& why, int code) {
  clear_progress_line();
  spdlog::error("rank {}: {}", rank_, why);
  spdlog::default_logger()->flush();
  mpi_->abort(code);
  std::abort();  // not reached
}

void Ranks::gather_words(const void* from, const std::vector<int>& words, void* to) {
  const std::vector<int> at = places_of(words);
  mpi_->gather(telltale_mpi_work, from, words[size_t(rank_)], to, words.data(), at.data());
  wait(telltale_mpi_work);
}

void RankChannel::wait() {
  std::optional<Clock::time_point> left;
  ranks_->await([&] {
    if (ranks_->mpi_->done(telltale_mpi_beside)) return true;
    if (!left && left_) left = Clock::now();
    TT_CHECK(!left || seconds_since(*left) < kOthersEnd, Error, "the other processes have not finished the step");
    return false;
  });
}

void RankChannel::exchange(const void* from, const std::vector<int>& given, void* to, const std::vector<int>& taken) {
  const std::vector<int> given_at = places_of(given), taken_at = places_of(taken);
  ranks_->mpi_->exchange(telltale_mpi_beside, from, given.data(), given_at.data(), to, taken.data(), taken_at.data());
  wait();
}

void RankChannel::gather(const void* from, const std::vector<int>& words, void* to) {
  const std::vector<int> at = places_of(words);
  ranks_->mpi_->gather(telltale_mpi_beside, from, words[size_t(ranks_->rank_)], to, words.data(), at.data());
  wait();
}

int Ranks::total(int mine) {
  if (alone()) return mine;
  std::vector<int> all(size_t(size_), 0);
  gather_words(&mine, std::vector<int>(size_t(size_), 1), all.data());
  return std::reduce(all.begin(), all.end());
}

bool Ranks::any(bool mine) {
  if (alone()) return mine;
  std::vector<uint32_t> all(size_t(size_), 0);
  const uint32_t word = mine;
  gather_words(&word, std::vector<int>(size_t(size_), 1), all.data());
  return std::any_of(all.begin(), all.end(), [](uint32_t w) { return w != 0; });
}

std::vector<std::string> Ranks::gather(const std::string& mine) {
  if (alone()) return {mine};
  std::vector<uint32_t> bytes(size_t(size_), 0);
  const auto own = uint32_t(mine.size());
  gather_words(&own, std::vector<int>(size_t(size_), 1), bytes.data());
  std::vector<int> words;
  words.reserve(bytes.size());
  for (const uint32_t n : bytes) words.push_back(int((n + 3) / 4));
  std::vector<uint32_t> sent(size_t(words[size_t(rank_)]), 0), all(size_t(std::reduce(words.begin(), words.end())), 0);
  std::memcpy(sent.data(), mine.data(), mine.size());
  gather_words(sent.data(), words, all.data());
  std::vector<std::string> texts;
  texts.reserve(bytes.size());
  const std::vector<int> at = places_of(words);
  for (int r = 0; r < size_; ++r)
    texts.emplace_back(reinterpret_cast<const char*>(all.data() + at[size_t(r)]), bytes[size_t(r)]);
  return texts;
}

std::string Ranks::tell(const std::function<std::string()>& work) {
  if (alone()) return work();
  std::string said;
  if (leads()) said = outcome_of(work);
  const double timeout = timeout_;
  if (!leads()) timeout_ *= kLeaderWorks;
  said = gather(said)[0];
  timeout_ = timeout;
  return text_of(said);
}

void Ranks::each(const std::function<void()>& work) {
  if (alone()) return work();
  const std::string mine = outcome_of([&] {
    work();
    return std::string();
  });
  for (const std::string& said : gather(mine)) text_of(said);
}

void Ranks::lead(const std::function<void()>& work) {
  tell([&] {
    work();
    return std::string();
  });
}

int Ranks::run(const std::function<int()>& work) {
  if (alone()) return work();
  int code = 0;
  std::string why;
  try {
    code = work();
  } catch (const UsageError& e) {
    code = 2;
    why = e.what();
  } catch (const std::exception& e) {
    code = 1;
    why = e.what();
  }
  // How did it end for each? Whoever is still at work does not answer.
  const uint64_t hash = fnv1a(why);
  const uint32_t mine[3] = {uint32_t(code), uint32_t(hash), uint32_t(hash >> 32)};
  std::vector<uint32_t> all(3 * size_t(size_), 0);
  const std::vector<int> words(size_t(size_), 3), at = places_of(words);
  mpi_->gather(telltale_mpi_ending, mine, 3, all.data(), words.data(), at.data());
  const bool failed = !why.empty();
  if (!done_within([&] { return mpi_->done(telltale_mpi_ending) != 0; }, failed ? kOthersEnd : timeout_)) {
    if (!failed) give_up();
    end_job(why, code);
  }
  mpi_->finish();
  if (!leads() && std::memcmp(mine, all.data(), sizeof mine) == 0) return 0;
  if (!failed) return code;
  if (!leads()) why = cat("rank ", rank_, ": ", why);
  if (code == 2) throw UsageError(why);
  throw Error(why);
}

int in_ranks(double timeout_seconds, const std::function<int(Ranks&)>& work) {
  const Launch launch = find_launch();
  if (launch.size == 1) return work(Ranks::none());
  Ranks ranks(launch, timeout_seconds);
  watch_interrupts_by(SIGUSR1);  // mpirun passes it on at once, and kills two seconds after Ctrl-C
  if (!ranks.leads()) spdlog::set_level(spdlog::level::err);
  spdlog::info("rank 0 of {} processes, started by {}", ranks.size(), launch.by);
  return ranks.run([&] { return work(ranks); });
}

void require_one_process(const Ranks& ranks, const std::string& what) {
  TT_CHECK(ranks.alone(), UsageError, what, " runs in one process, and ", ranks.size(), " were started");
}

void add_rank_timeout(CLI::App& app, double& seconds) {
  app.add_option("--rank-timeout", seconds, "seconds to wait for a process that does not answer")
      ->check(CLI::PositiveNumber)
      ->capture_default_str()
      ->group("Several processes (mpirun, srun)");
}

}  // namespace telltale
