#include "models/training/ranks.h"

#include <cstring>

#include "base/hash.h"
#include "engine/layers/norm.h"
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

RankedPasses::RankedPasses(Ranks& ranks, Program& program, bool synced)
    : ranks_(&ranks), program_(&program), synced_(synced), sum_(ranks), sum_f64_(ranks) {}

std::vector<double> RankedPasses::statistics() const {
  std::vector<double> values;
  for (const Param& p : program_->params().all()) {
    if (!is_statistic(p)) continue;
    const std::vector<double> v = program_->params().read(program_->stream(), p);
    values.insert(values.end(), v.begin(), v.end());
  }
  return values;
}

/// Calls it with the sum and the values of the gradients' type.
template <class F>
void RankedPasses::visit_gradients(F&& f) {
  const ParamArena arena = program_->params().arena();
  if (arena.count == 0) return;
  if (arena.grad.dtype == DType::f64)
    f(sum_f64_, std::span(arena.grad.as<double>(), size_t(arena.count)));
  else
    f(sum_, std::span(arena.grad.as<float>(), size_t(arena.count)));
}

void RankedPasses::begin_round() {
  if (!ranks_->alone()) before_ = statistics();
}

void RankedPasses::end_round(int active) {
  if (ranks_->alone()) return;
  visit_gradients([&](auto& sum, auto values) { sum.add(values, active); });
  combine_statistics(active);
}

void RankedPasses::finish() {
  if (ranks_->alone()) return;
  visit_gradients([&](auto& sum, auto values) { sum.take(values); });
}

void RankedPasses::combine_statistics(int active) {
  if (synced_ || before_.empty()) return;
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
    for (int r = 0; r < active; ++r) {
      std::vector<double> reached(count);
      std::memcpy(reached.data(), all[size_t(r)].data() + at * sizeof(double), count * sizeof(double));
      for (size_t i = 0; i < count; ++i) values[i] = reached[i] + kept * (values[i] - before_[at + i]);
    }
    program_->params().write(program_->stream(), p, values);
    at += count;
  }
}

}  // namespace telltale
