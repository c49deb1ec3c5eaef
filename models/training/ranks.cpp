#include "models/training/ranks.h"

#include <cmath>
#include <cstring>

#include "base/hash.h"
#include "engine/layers/norm.h"
#include "kernels/device/cuda_api.h"
#include "kernels/norm/batchnorm_together.h"

namespace telltale {
namespace {

/// Moved by forward passes, not by the optimiser.
bool is_statistic(const Param& p) { return !p.spec.trainable; }

uint64_t hash_of(Stream& s, const Param& p) {
  std::vector<char> bytes(p.value.bytes());
  download(s, bytes.data(), p.value);
  return fnv1a({bytes.data(), bytes.size()});
}

}  // namespace

int run_in_ranks(RunSettings& settings, const std::function<int()>& train) {
  return in_ranks(settings.rank_timeout, [&](Ranks& ranks) {
    settings.ranks = &ranks;
    return train();
  });
}

void require_same_parameters(Ranks& ranks, const Program& program, const std::string& when) {
  if (ranks.alone()) return;
  const std::vector<Param>& params = program.params().all();
  std::vector<uint64_t> hashes;
  for (const Param& p : params) hashes.push_back(hash_of(program.stream(), p));
  std::string mine(hashes.size() * sizeof(uint64_t), '\0');
  std::memcpy(mine.data(), hashes.data(), mine.size());
  const std::vector<std::string> all = ranks.gather(mine);
  for (size_t r = 1; r < all.size(); ++r) {
    TT_CHECK(all[r].size() == all[0].size(), Error, "rank ", r, " trains another net than rank 0");
    for (size_t k = 0; k < params.size(); ++k)
      TT_CHECK(
          all[r].compare(k * sizeof(uint64_t), sizeof(uint64_t), all[0], k * sizeof(uint64_t), sizeof(uint64_t)) == 0,
          Error, params[k].spec.names.at(0), " of rank ", r, " differs from rank 0's ", when,
          ": the ranks must run the same program on the same files; the last checkpoint stays");
  }
}

SyncedBatchNorm::SyncedBatchNorm(Ranks& ranks) {
  if (ranks.alone()) return;
  batchnorm_together() = [&ranks](std::span<const double> mine) {
    std::vector<std::vector<double>> all;
    for (const std::string& bytes : ranks.gather({reinterpret_cast<const char*>(mine.data()), mine.size_bytes()})) {
      all.emplace_back(bytes.size() / sizeof(double));
      std::memcpy(all.back().data(), bytes.data(), bytes.size());
    }
    return all;
  };
}

SyncedBatchNorm::~SyncedBatchNorm() { batchnorm_together() = {}; }

RankedPasses::RankedPasses(Ranks& ranks, Program& program, const GradientExchange& how, bool synced)
    : ranks_(&ranks), program_(&program), synced_(synced) {
  const ParamArena arena = program.params().arena();
  if (ranks.alone() && !how.bf16) return;
  Stream& stream = program.stream();
  if (stream.is_cuda()) {
    gpus_ = std::make_unique<GpuLink>(ranks, stream);
    if (!ranks.alone() && !synced) gpu_statistics_.emplace(*gpus_, program);
    if (!ranks.alone())
      for (void*& event : ended_) event = cuda_api::create_event();
  }
  if (arena.count == 0) return;
  TT_CHECK(!how.bf16 || arena.grad.dtype == DType::f32, UsageError,
           "--rank-transport bf16 sends gradients in f32, and these are in ", name_of(arena.grad.dtype));
  during_ = how.bucket_mb > 0;
  buckets_ = gradient_buckets(program.params(), during_ ? how.bucket_mb * 1e6 : HUGE_VAL);
  sum_ = gpus_ ? gradient_sum_on_gpus(*gpus_, arena, buckets_, how.bf16)
               : gradient_sum_on_host(ranks, arena, buckets_, how.bf16, during_);
  if (!during_) return;
  program.observe([this, arena](Program::Step step, const Layer&, const Io& io) {
    if (!step.backward) return;
    for (const Tensor& dw : io.dw) {
      if (!dw) continue;
      const auto* at = static_cast<const char*>(dw.data);
      give_through((at - static_cast<const char*>(arena.grad.data)) / int64_t(size_of(dw.dtype)));
    }
  });
}

RankedPasses::~RankedPasses() {
  if (sum_) program_->observe({});
  for (void* event : ended_)
    if (event) cuda_api::destroy_event(event);
}

std::vector<double> RankedPasses::statistics() const {
  std::vector<double> values;
  for (const Param& p : program_->params().all()) {
    if (!is_statistic(p)) continue;
    const std::vector<double> v = program_->params().read(program_->stream(), p);
    values.insert(values.end(), v.begin(), v.end());
  }
  return values;
}

void RankedPasses::begin_round(int active, bool last) {
  active_ = active;
  begun_ = !last_;
  last_ = last;
  if (sum_) sum_->begin(active, last);
  given_ = 0;
  if (ranks_->alone() || synced_) return;
  gpu_statistics_ ? gpu_statistics_->remember() : void(before_ = statistics());
}

void RankedPasses::give_through(int64_t parameter) {
  while (given_ < buckets_.size() && buckets_[given_].last <= parameter) sum_->give(given_++);
}

void RankedPasses::pass(const std::function<void()>& run, Capture* capture) {
  const auto work = [&] {
    given_ = 0;  // a recording that breaks is followed by the work itself
    run();
  };
  capture ? capture->run(work) : work();
  if (during_) given_ = buckets_.size();  // also where a replay gave them
}

void RankedPasses::end_round() {
  if (sum_) {
    while (given_ < buckets_.size()) sum_->give(given_++);
    sum_->end();
  }
  if (gpu_statistics_) gpu_statistics_->combine(active_);
  if (!before_.empty()) combine_statistics();
}

void RankedPasses::end_step(int64_t step) {
  if (void* event = ended_[size_t(step % 2)]) cuda_api::record_event(event, program_->stream().native());
}

void RankedPasses::await(int64_t step) {
  if (void* event = ended_[size_t(step % 2)]) ranks_->await([=] { return cuda_api::has_happened(event); });
}

void RankedPasses::combine_statistics() {
  const std::vector<double> mine = statistics();
  std::string bytes(mine.size() * sizeof(double), '\0');
  std::memcpy(bytes.data(), mine.data(), bytes.size());
  const std::vector<std::string> all = ranks_->gather(bytes);
  size_t at = 0;
  for (const Param& p : program_->params().all()) {
    if (!is_statistic(p)) continue;
    const auto count = size_t(p.value.shape.numel());
    const double kept = p.spec.is_counter ? 1 : 1 - double(BatchNorm::Settings().momentum);
    std::vector<double> values(before_.begin() + long(at), before_.begin() + long(at + count));
    for (int r = 0; r < active_; ++r) {
      std::vector<double> reached(count);
      std::memcpy(reached.data(), all[size_t(r)].data() + at * sizeof(double), count * sizeof(double));
      for (size_t i = 0; i < count; ++i) values[i] = reached[i] + kept * (values[i] - before_[at + i]);
    }
    program_->params().write(program_->stream(), p, values);
    at += count;
  }
}

}  // namespace telltale
