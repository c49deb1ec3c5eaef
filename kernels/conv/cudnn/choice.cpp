#if TT_CUDNN
#include "kernels/conv/cudnn/choice.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "kernels/conv/cudnn/run.h"
#include "kernels/device/host_values.h"

namespace telltale::cudnn {
namespace {

/// As much of each tensor as shows whether two ways to compute it are one.
std::vector<std::vector<double>> glimpse(Stream& s, const std::vector<Tensor>& tensors) {
  constexpr int64_t kMost = 1 << 16;
  std::vector<std::vector<double>> values;
  values.reserve(tensors.size());
  for (const Tensor& t : tensors)
    values.push_back(values_of(s, {t.data, {1, 1, 1, int(std::min(kMost, t.shape.numel()))}, t.dtype}));
  return values;
}

/// Root mean square of b − a as a share of a's, the worst of all tensors. What is not finite in a says nothing.
double difference(const std::vector<std::vector<double>>& a, const std::vector<std::vector<double>>& b) {
  double worst = 0;
  for (size_t t = 0; t < a.size(); ++t) {
    double size = 0, error = 0;
    for (size_t i = 0; i < a[t].size(); ++i) {
      if (!std::isfinite(a[t][i])) continue;
      size += a[t][i] * a[t][i];
      error += (b[t][i] - a[t][i]) * (b[t][i] - a[t][i]);
    }
    if (!(error <= 0)) worst = std::max(worst, size > 0 && std::isfinite(error) ? std::sqrt(error / size) : 1.0);
  }
  return worst;
}

/// In f16 a value close to 0 may pass relu on one way and not on the other: about one in a thousand, or 3 % of a sum's
/// root mean square. A factor forgotten, or one applied twice, is more than this.
constexpr double kAlike = 0.1;

/// The most that one may ask for, which is a good deal more than those that cuDNN prefers: the stream's workspace grows
/// to what is tried and stays so.
constexpr size_t kMostWorkspace = size_t(1) << 26;

bool all_zero(const std::vector<std::vector<double>>& tensors) {
  return std::all_of(tensors.begin(), tensors.end(), [](const std::vector<double>& t) {
    return std::all_of(t.begin(), t.end(), [](double v) { return v == 0; });
  });
}

/// Null where the plain form is faster than all plans that agree with it. Throws DeviceError where nothing can be said.
std::optional<size_t> fastest(Stream& s, const std::string& key, const ConvGraph& graph, const std::vector<Plan>& plans,
                              const Trial& trial) {
  double least = seconds_of(s, trial.plain);
  const auto expected = glimpse(s, trial.results);
  TT_CHECK(!all_zero(expected), DeviceError, "nothing but zeros to compare ", key, " on");
  std::optional<size_t> best;
  for (size_t i = 0; i < plans.size(); ++i) {
    const std::optional<double> t = seconds_if_it_runs(
        s, [&] { trial.fused(graph, plans[i]); }, least);
    if (!t || *t >= least) continue;
    if (const double d = difference(expected, glimpse(s, trial.results)); d > kAlike) {
      std::fprintf(stderr, "cuDNN's engine %d for %s differs by %.3g from the plain form: not used\n",
                   int(plans[i].engine.id), key.c_str(), d);
      continue;
    }
    least = *t;
    best = i;
  }
  return best;
}

}  // namespace

const FusedPlans::Entry* FusedPlans::find(Stream& s, const ConvOp& op, int compiled,
                                          const std::function<Trial()>& trial) {
  const std::string key = op.key();
  auto at = entries_.find(key);
  if (at == entries_.end()) at = entries_.emplace(key, choose(s, op, compiled, trial)).first;
  return at->second ? &*at->second : nullptr;
}

std::optional<FusedPlans::Entry> FusedPlans::choose(Stream& s, const ConvOp& op, int compiled,
                                                    const std::function<Trial()>& trial) {
  if (!target_) {
    target_.emplace(s);
    file_.emplace(plan_file_of(s));
  }
  const std::string key = op.key();
  try {
    const std::optional<Engine> known = file_->find(key);
    if (known && known->id < 0) return std::nullopt;
    ConvGraph graph(op, *target_);
    if (std::optional<Plan> plan = graph.remembered(known)) return Entry{std::move(graph), std::move(*plan)};
    std::vector<Plan> plans = graph.candidates(kTimed, kMostWorkspace, compiled);
    if (plans.empty()) return std::nullopt;
    const std::optional<size_t> best = fastest(s, key, graph, plans, trial());
    file_->add(key, best ? plans[*best].engine : Engine{});
    if (best) return Entry{std::move(graph), std::move(plans[*best])};
  } catch (const DeviceError&) {  // refused, or no memory to try: the plain form has its own words for what is worse
  }
  return std::nullopt;
}

}  // namespace telltale::cudnn
#endif
