#include "models/training/gpu_ranks.h"

#include <unistd.h>

#include <algorithm>

#include "engine/layers/norm.h"
#include "kernels/cast.h"
#include "kernels/device/cuda_api.h"
#include "kernels/ordered_sum.h"
#include "kernels/ranked_statistics.h"

namespace telltale {
namespace {

std::string host_name() {
  char name[256] = "";
  gethostname(name, sizeof name - 1);
  return name;
}

/// `count` numbers from `first` on.
Tensor part(Tensor t, int64_t first, int64_t count) {
  return {static_cast<char*>(t.data) + size_t(first) * size_of(t.dtype), {1, 1, 1, int(count)}, t.dtype};
}

/// One bucket after another: to each rank its slice of every rank's numbers, which it adds; at the end the slices to
/// all.
class GpuSum final : public GradientSum {
 public:
  GpuSum(GpuLink& link, const ParamArena& arena, std::vector<GradientBucket> buckets, bool bf16)
      : link_(&link), gradients_(arena.grad), buckets_(std::move(buckets)), bf16_(bf16) {
    const DType sent = bf16 ? DType::bf16 : gradients_.dtype;
    int64_t all = 0, most = 0;
    for (size_t b = 0; b < buckets_.size(); ++b) {
      total_at_.push_back(all);
      all += slice(size_of_bucket(b));
      most = std::max(most, size_of_bucket(b));
    }
    const int64_t padded = slice(most) * size();
    const auto make = [](int64_t count, DType type) { return OwnedTensor(Place::cuda, {1, 1, 1, int(count)}, type); };
    total_ = make(all, gradients_.dtype);
    came_ = make(padded, sent);
    gathered_ = make(padded, sent);
    if (!bf16) return;
    rounded_ = make(most, sent);
    rounded_sum_ = make(slice(most), sent);
  }
  void begin(int active, bool last) override {
    begun_ = !last_;
    active_ = active;
    last_ = last;
  }
  void give(size_t bucket) override {
    link_->follow();
    Stream& s = link_->beside();
    const int64_t from = bucket ? buckets_[bucket - 1].end : 0, count = size_of_bucket(bucket);
    const Tensor values = part(gradients_, from, count);
    Tensor sent = values;
    const int me = link_->ranks().rank();
    if (bf16_ && me < active_) {
      sent = part(rounded_, 0, count);
      cast(s, values, sent);
    }
    const int64_t each = slice(count), mine = slice_of(count, me);
    const Tensor total = part(total_, total_at_[bucket], each);
    exchange(s, sent, count);
    if (mine > 0) {
      Tensor parts = part(came_, 0, mine * active_);
      parts.shape = {active_, 1, 1, int(mine)};
      ordered_sum(s, parts, part(total, 0, mine), begun_);
    }
    if (last_) give_sum(s, total, each, values);
    if (bucket + 1 == buckets_.size()) link_->rejoin();
  }
  void end() override {}

 private:
  static constexpr int64_t kUnit = 64;  // slices begin on what any access wants
  int size() const { return link_->ranks().size(); }
  int64_t size_of_bucket(size_t b) const { return buckets_[b].end - (b ? buckets_[b - 1].end : 0); }
  /// Of a bucket, what a rank sums: all the same, but for the last ones.
  int64_t slice(int64_t count) const { return (count + size() * kUnit - 1) / (size() * kUnit) * kUnit; }
  int64_t slice_of(int64_t count, int rank) const {
    return std::clamp<int64_t>(count - rank * slice(count), 0, slice(count));
  }

  /// What the active ranks give this one goes to came_, one behind the other.
  void exchange(Stream& s, Tensor sent, int64_t count) {
    const int me = link_->ranks().rank();
    const int64_t mine = slice_of(count, me);
    std::vector<Tensor> given(size_t(size()), Tensor{}), taken = given;
    for (int r = 0; r < size(); ++r) {
      if (const int64_t theirs = slice_of(count, r); me < active_ && theirs > 0)
        given[size_t(r)] = part(sent, r * slice(count), theirs);
      if (r < active_ && mine > 0) taken[size_t(r)] = part(came_, r * mine, mine);
    }
    Tensor &own = given[size_t(me)], &own_place = taken[size_t(me)];
    if (own) copy(s, own_place, own);
    own = own_place = {};
    if (link_->nccl()) link_->nccl()->exchange(s, given, taken);
  }
  void give_sum(Stream& s, Tensor total, int64_t each, Tensor values) {
    const int64_t count = values.shape.numel();
    Tensor own = total;
    if (bf16_) {
      own = part(rounded_sum_, 0, each);
      cast(s, total, own);
    }
    Tensor all = own;
    if (link_->nccl()) {
      all = part(gathered_, 0, each * size());
      link_->nccl()->gather(s, own, all);
    }
    bf16_ ? cast(s, part(all, 0, count), values) : copy(s, values, part(all, 0, count));
  }

  GpuLink* link_;
  Tensor gradients_;
  std::vector<GradientBucket> buckets_;
  bool bf16_;
  std::vector<int64_t> total_at_;  // of each bucket's slice
  OwnedTensor total_, came_, gathered_, rounded_, rounded_sum_;
  int active_ = 0;
  bool begun_ = false, last_ = true;
};

}  // namespace

void require_own_gpu(Ranks& ranks, const Stream& s) {
  if (ranks.alone() || !s.is_cuda()) return;
  const std::vector<std::string> all =
      ranks.gather(host_name() + "\n" + cuda_api::device_identity(cuda_api::current_device()));
  for (size_t r = 0; r < all.size(); ++r)
    for (size_t other = 0; other < r; ++other)
      TT_CHECK(all[r] != all[other], UsageError, "ranks ", other, " and ", r, " would share a GPU of ",
               all[r].substr(0, all[r].find('\n')), ": start no more processes a machine than it has GPUs");
}

GpuLink::GpuLink(Ranks& ranks, Stream& compute)
    : ranks_(&ranks), compute_(&compute), beside_(Stream::cuda(cuda_api::current_device())) {
  if (!ranks.alone())
    nccl_ = std::make_unique<Nccl>(ranks.tell([] { return Nccl::meeting(); }), ranks.rank(), ranks.size());
  computed_ = cuda_api::create_event();
  came_ = cuda_api::create_event();
}

GpuLink::~GpuLink() {
  cuda_api::destroy_event(computed_);
  cuda_api::destroy_event(came_);
}

void GpuLink::follow() {
  cuda_api::record_event(computed_, compute_->native());
  cuda_api::wait_event(beside_.native(), computed_);
}

void GpuLink::rejoin() {
  cuda_api::record_event(came_, beside_.native());
  cuda_api::wait_event(compute_->native(), came_);
}

std::unique_ptr<GradientSum> gradient_sum_on_gpus(GpuLink& link, const ParamArena& arena,
                                                  std::vector<GradientBucket> buckets, bool bf16) {
  return std::make_unique<GpuSum>(link, arena, std::move(buckets), bf16);
}

GpuStatistics::GpuStatistics(GpuLink& link, Program& program) : link_(&link) {
  std::vector<const Param*> statistics;
  for (const Param& p : program.params().all())
    if (!p.spec.trainable) statistics.push_back(&p);
  if (statistics.empty()) return;
  const auto before = [](const Param* a, const Param* b) { return a->offset < b->offset; };
  all_ = (*std::min_element(statistics.begin(), statistics.end(), before))->value;
  const Param& last = **std::max_element(statistics.begin(), statistics.end(), before);
  all_.shape = {
      1, 1, 1,
      int((static_cast<char*>(last.value.data) - static_cast<char*>(all_.data)) / int64_t(size_of(all_.dtype)) +
          last.value.shape.numel())};
  std::vector<int32_t> places;
  std::vector<double> kept;
  for (const Param* p : statistics) {
    const int64_t from =
        (static_cast<char*>(p->value.data) - static_cast<char*>(all_.data)) / int64_t(size_of(all_.dtype));
    for (int64_t i = 0; i < p->value.shape.numel(); ++i) {
      places.push_back(int32_t(from + i));
      kept.push_back(p->spec.is_counter ? 1 : 1 - double(BatchNorm::Settings().momentum));
    }
  }
  const int n = int(places.size());
  const auto make = [&](int ranks, DType type) { return OwnedTensor(Place::cuda, {ranks, 1, 1, n}, type); };
  places_ = make(1, DType::i32);
  kept_ = make(1, DType::f64);
  before_ = make(1, all_.dtype);
  mine_ = make(1, all_.dtype);
  reached_ = make(link.ranks().size(), all_.dtype);
  upload(link.compute(), places_, places.data());
  upload(link.compute(), kept_, kept.data());
}

void GpuStatistics::remember() {
  if (all_) collect(link_->compute(), all_, places_, before_);
}

void GpuStatistics::combine(int active) {
  if (!all_) return;
  link_->follow();
  Stream& s = link_->beside();
  collect(s, all_, places_, mine_);
  link_->nccl()->gather(s, mine_, reached_);
  combine_statistics(s, reached_, active, before_, kept_, places_, all_);
  link_->rejoin();
}

}  // namespace telltale
