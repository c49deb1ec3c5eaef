#include "models/training/gradient_sum.h"

#include <algorithm>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <exception>
#include <mutex>
#include <optional>
#include <thread>

#include "kernels/device/half.h"

namespace telltale {
namespace {

constexpr size_t kTogether = 2;  // of the smallest numbers in a word of 4 bytes: slices are of whole words

/// One bucket after another: to each rank its slice of every rank's numbers, which it adds; at the end the slices to
/// all.
template <class T>
class HostSum final : public GradientSum {
 public:
  HostSum(Ranks& ranks, std::span<T> values, std::vector<GradientBucket> buckets, bool bf16, bool in_thread)
      : ranks_(&ranks), channel_(ranks), values_(values), buckets_(std::move(buckets)), bf16_(bf16) {
    in_thread_ = in_thread && !ranks.alone() && channel_.may_be_anothers();
    size_t all = 0, most = 0;
    for (size_t b = 0; b < buckets_.size(); ++b) {
      const size_t count = bucket(b).size();
      TT_CHECK(count % kTogether == 0 && count < size_t(INT32_MAX) / 2, ShapeError, "a bucket of ", count,
               " gradients cannot be summed over processes");
      total_at_.push_back(all);
      all += mine(count);
      most = std::max(most, count);
    }
    total_.resize(all);
    const size_t numbers = (most / kTogether / size_t(ranks.size()) + 1) * kTogether * size_t(ranks.size());
    if (bf16_) {
      sent_.resize(most);
      came_bf16_.resize(numbers);
    } else {
      came_.resize(numbers);
    }
  }
  /// What was given is finished if the others do so soon.
  ~HostSum() override {
    channel_.leave();
    {
      const std::scoped_lock hold(lock_);
      ends_here_ = true;
    }
    changed_.notify_all();
    if (thread_.joinable()) thread_.join();
  }
  HostSum(const HostSum&) = delete;
  HostSum& operator=(const HostSum&) = delete;

  void begin(int active, bool last) override {
    begun_ = !last_;
    active_ = active;
    last_ = last;
  }
  void give(size_t bucket) override {
    const Job job{bucket, active_, begun_, last_};
    if (!in_thread_) return sum(job);
    if (!thread_.joinable()) thread_ = std::thread([this] { run(); });
    const std::scoped_lock hold(lock_);
    jobs_.push_back(job);
    changed_.notify_all();
  }
  void end() override {
    if (!in_thread_) return;
    std::unique_lock hold(lock_);
    changed_.wait(hold, [this] { return jobs_.empty() || failed_; });
    if (failed_) std::rethrow_exception(failed_);
  }

 private:
  struct Job {
    size_t bucket;
    int active;
    bool begun, last;
  };
  std::span<T> bucket(size_t b) const {
    const int64_t from = b ? buckets_[b - 1].end : 0;
    return values_.subspan(size_t(from), size_t(buckets_[b].end - from));
  }
  /// Where a rank's slice of so many begins.
  size_t slice(size_t count, int rank) const {
    return count / kTogether * size_t(rank) / size_t(ranks_->size()) * kTogether;
  }
  size_t mine(size_t count) const { return slice(count, ranks_->rank() + 1) - slice(count, ranks_->rank()); }
  std::vector<int> words(size_t count, size_t size) const {
    std::vector<int> all;
    for (int r = 0; r < ranks_->size(); ++r)
      all.push_back(int((slice(count, r + 1) - slice(count, r)) * size / sizeof(uint32_t)));
    return all;
  }

  void run() {
    std::unique_lock hold(lock_);
    for (;;) {
      changed_.wait(hold, [this] { return !jobs_.empty() || ends_here_; });
      if (jobs_.empty()) return;
      const Job job = jobs_.front();
      hold.unlock();
      try {
        sum(job);
      } catch (...) {
        hold.lock();
        failed_ = std::current_exception();
        changed_.notify_all();
        return;
      }
      hold.lock();
      jobs_.pop_front();
      changed_.notify_all();
    }
  }

  void sum(const Job& job) {
    const std::span<T> values = bucket(job.bucket);
    T* total = total_.data() + total_at_[job.bucket];
    if (!bf16_) {
      fold(job, exchanged(values.data(), values.size(), job.active, came_), values.size(), total);
      if (job.last) gather(total, values.size(), values.data());
      return;
    }
    for (size_t i = 0; i < values.size(); ++i) sent_[i] = bf16(float(values[i]));
    fold(job, exchanged(sent_.data(), values.size(), job.active, came_bf16_), values.size(), total);
    if (!job.last) return;
    const size_t count = mine(values.size());
    for (size_t i = 0; i < count; ++i) came_bf16_[i] = bf16(float(total[i]));
    gather(came_bf16_.data(), values.size(), sent_.data());
    for (size_t i = 0; i < values.size(); ++i) values[i] = T(float(sent_[i]));
  }

  /// This rank's slice of each active rank's numbers, one behind the other.
  template <class Sent>
  const Sent* exchanged(const Sent* from, size_t count, int active, std::vector<Sent>& came) {
    if (ranks_->alone()) return from;
    const auto each = size_t(ranks_->size());
    const std::vector<int> slices = words(count, sizeof(Sent));
    std::vector<int> given(each, 0), taken(each, 0);
    if (ranks_->rank() < active) given = slices;
    std::fill_n(taken.begin(), active, slices[size_t(ranks_->rank())]);
    channel_.exchange(from, given, came.data(), taken);
    return came.data();
  }
  template <class Sent>
  void gather(const Sent* from, size_t count, Sent* to) {
    if (ranks_->alone())
      std::copy_n(from, count, to);
    else
      channel_.gather(from, words(count, sizeof(Sent)), to);
  }
  template <class Sent>
  void fold(const Job& job, const Sent* from, size_t values, T* total) const {
    const size_t count = mine(values);
    for (int r = 0; r < job.active; ++r, from += count) {
      if (r == 0 && !job.begun)
        for (size_t i = 0; i < count; ++i) total[i] = widened(from[i]);
      else
        for (size_t i = 0; i < count; ++i) total[i] += widened(from[i]);
    }
  }
  static T widened(T v) { return v; }
  static T widened(bf16 v) { return T(float(v)); }

  Ranks* ranks_;
  RankChannel channel_;
  std::span<T> values_;
  std::vector<GradientBucket> buckets_;
  bool bf16_, in_thread_ = false;
  std::vector<size_t> total_at_;  // of each bucket's slice
  std::vector<T> total_, came_;
  std::vector<bf16> sent_, came_bf16_;
  int active_ = 0;
  bool begun_ = false, last_ = true;

  std::thread thread_;
  std::mutex lock_;  // of what follows
  std::condition_variable changed_;
  std::deque<Job> jobs_;  // the first one is being done
  bool ends_here_ = false;
  std::exception_ptr failed_;
};

}  // namespace

std::vector<GradientBucket> gradient_buckets(const Params& params, double bytes) {
  const ParamArena arena = params.arena();
  std::vector<int64_t> begins;  // of parameters
  for (const Param& p : params.all())
    if (p.trainable) begins.push_back(p.offset);
  std::sort(begins.begin(), begins.end());
  begins.push_back(arena.count);
  std::vector<GradientBucket> buckets;
  int64_t from = 0;
  for (size_t k = 1; k < begins.size(); ++k) {
    if (double(begins[k] - from) * double(size_of(arena.grad.dtype)) < bytes && k + 1 < begins.size()) continue;
    buckets.push_back({begins[k - 1], begins[k]});
    from = begins[k];
  }
  return buckets;
}

std::unique_ptr<GradientSum> gradient_sum_on_host(Ranks& ranks, const ParamArena& arena,
                                                  std::vector<GradientBucket> buckets, bool bf16, bool in_thread) {
  const auto make = [&]<class T>(T) -> std::unique_ptr<GradientSum> {
    return std::make_unique<HostSum<T>>(ranks, std::span(arena.grad.as<T>(), size_t(arena.count)), std::move(buckets),
                                        bf16, in_thread);
  };
  return arena.grad.dtype == DType::f64 ? make(double()) : make(float());
}

}  // namespace telltale
