#if TT_CUDNN
#include "kernels/conv/cudnn/choice.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>

#include "kernels/conv/cudnn/run.h"
#include "kernels/device/host_values.h"
#include "kernels/device/philox.h"

namespace telltale::cudnn {
namespace {

/// A result as both ways give it: numbers of its beginning and its end.
struct Glimpse {
  std::vector<double> values;
  bool is_sum;  ///< in f32: over many numbers, as weights' gradients and statistics are
};

std::vector<Glimpse> glimpse(Stream& s, const std::vector<Tensor>& tensors) {
  constexpr int64_t kMost = 1 << 16;
  std::vector<Glimpse> all;
  all.reserve(tensors.size());
  for (const Tensor& t : tensors) {
    const int64_t count = t.shape.numel(), part = std::min(kMost, count), from = count - std::min(kMost, count - part);
    const auto read = [&](int64_t first, int64_t n) {
      return values_of(s, {t.as<char>() + size_t(first) * size_of(t.dtype), {1, 1, 1, int(n)}, t.dtype});
    };
    Glimpse g{read(0, part), t.dtype == DType::f32 && size_of(tensors[0].dtype) == 2};
    if (from < count) {
      const std::vector<double> end = read(from, count - from);
      g.values.insert(g.values.end(), end.begin(), end.end());
    }
    all.push_back(std::move(g));
  }
  return all;
}

/// What rounding scale and shift to halves explains. A value moves by about a thousandth; one so close to 0 that it
/// passes ReLU on one way only is as rare, but takes its whole gradient along: 98 of a hundred numbers are close, and a
/// sum is off by the root of a thousandth, 3 % of a root mean square.
constexpr double kCloseNumber = 0.02, kCloseSum = 0.045, kShareClose = 0.98;

/// How far b is from a as a multiple of what is allowed, the worst of all tensors. What is not finite in a says
/// nothing.
double difference(const std::vector<Glimpse>& a, const std::vector<Glimpse>& b) {
  double worst = 0;
  for (size_t t = 0; t < a.size(); ++t) {
    double size = 0, squares = 0;
    std::vector<double> errors;
    for (size_t i = 0; i < a[t].values.size(); ++i) {
      const double x = a[t].values[i], error = std::abs(b[t].values[i] - x);
      if (!std::isfinite(x)) continue;
      errors.push_back(std::isnan(error) ? std::numeric_limits<double>::infinity() : error);
      size += x * x;
      squares += errors.back() * errors.back();
    }
    if (errors.empty() || squares == 0) continue;
    const double unit = std::sqrt(size / double(errors.size()));
    const auto at = errors.begin() + int64_t(kShareClose * double(errors.size() - 1));
    const double typical = std::sqrt(squares / double(errors.size()));
    std::nth_element(errors.begin(), at, errors.end());
    // A few numbers that went the other way may lie far off, but not without limit.
    const double allowed =
        a[t].is_sum ? typical / kCloseSum : std::max(*at / kCloseNumber, typical / (5 * kCloseNumber));
    worst =
        std::max(worst, unit > 0 && std::isfinite(allowed) ? allowed / unit : std::numeric_limits<double>::infinity());
  }
  return worst;
}

/// The most that one may ask for, which is a good deal more than those that cuDNN prefers: the stream's workspace grows
/// to what is tried and stays so.
constexpr size_t kMostWorkspace = size_t(1) << 26;

bool says_nothing(const std::vector<Glimpse>& tensors) {
  return std::all_of(tensors.begin(), tensors.end(), [](const Glimpse& t) {
    return std::all_of(t.values.begin(), t.values.end(), [](double v) { return v == 0 || !std::isfinite(v); });
  });
}

/// Whether a plan's results, which are in place, are those of the plain form; says so where they are not.
bool agrees(Stream& s, const std::string& key, const Plan& plan, const Trial& trial,
            const std::vector<Glimpse>& expected) {
  const double d = difference(expected, glimpse(s, trial.results));
  if (d <= 1) return true;
  std::fprintf(stderr, "cuDNN's engine %d for %s differs from the plain form by %.3g times what is allowed: not used\n",
               int(plan.engine.id), key.c_str(), d);
  return false;
}

std::vector<Glimpse> expected_of(Stream& s, const std::string& key, const Trial& trial) {
  std::vector<Glimpse> expected = glimpse(s, trial.results);
  TT_CHECK(!says_nothing(expected), DeviceError, "nothing but zeros and infinities to compare ", key, " on");
  return expected;
}

/// Null where the plain form is faster than all plans that agree with it and can be recorded. Throws DeviceError where
/// nothing can be said.
std::optional<size_t> fastest(Stream& s, const std::string& key, const ConvGraph& graph, const std::vector<Plan>& plans,
                              const Trial& trial) {
  double least = seconds_of(s, trial.plain);
  const auto expected = expected_of(s, key, trial);
  std::optional<size_t> best;
  for (size_t i = 0; i < plans.size(); ++i) {
    const auto run = [&] { trial.fused(graph, plans[i]); };
    const std::optional<double> t = seconds_if_it_runs(s, run, least);
    if (!t || *t >= least || !agrees(s, key, plans[i], trial, expected) || !can_be_recorded(s, run)) continue;
    least = *t;
    best = i;
  }
  return best;
}

/// Whether a plan that an earlier run found fastest still does what the plain form does.
bool still_agrees(Stream& s, const std::string& key, const ConvGraph& graph, const Plan& plan, const Trial& trial) {
  trial.plain();
  const auto expected = expected_of(s, key, trial);
  trial.fused(graph, plan);
  return agrees(s, key, plan, trial, expected);
}

}  // namespace

Tensor to_try_on(Stream& s, const Tensor& t, std::vector<OwnedTensor>& owned) {
  if (!says_nothing(glimpse(s, {t}))) return t;
  const Tensor noise = owned.emplace_back(s.place(), t.shape, t.dtype).tensor;
  const auto part = [&](int64_t first, int64_t count) {
    return Tensor{noise.as<char>() + size_t(first) * size_of(t.dtype), {1, 1, 1, int(count)}, t.dtype};
  };
  constexpr int64_t kDrawn = 1 << 16;
  const int64_t count = t.shape.numel();
  std::vector<double> drawn(size_t(std::min(count, kDrawn)));
  Random random(1);
  for (double& v : drawn) v = random.uniform(-1, 1);
  set_values(s, part(0, int64_t(drawn.size())), drawn);
  for (int64_t done = int64_t(drawn.size()), more = 0; done < count; done += more) {
    more = std::min({done, count - done, int64_t(1) << 30});
    copy(s, part(done, more), part(0, more));
  }
  return noise;
}

const FusedPlans::Entry* FusedPlans::find(Stream& s, const ConvOp& op, int compiled,
                                          const std::function<Trial()>& trial) {
  const std::string key = op.key();
  Choice& c = choices_[key];
  if (c.tries >= kTries) return c.entry ? &*c.entry : nullptr;
  ++c.tries;
  try {
    if (std::optional<Entry> e = choose(s, op, compiled, trial)) c.entry.emplace(std::move(*e));
    c.tries = kTries;
  } catch (const DeviceError&) {  // refused, or no memory to try: the plain form has its own words for what is worse
  }
  return c.entry ? &*c.entry : nullptr;
}

std::optional<FusedPlans::Entry> FusedPlans::choose(Stream& s, const ConvOp& op, int compiled,
                                                    const std::function<Trial()>& trial) {
  if (!target_) {
    target_.emplace(s);
    file_.emplace(plan_file_of(s));
  }
  const std::string key = op.key();
  const std::optional<Engine> known = file_->find(key);
  if (known && known->id < 0) return std::nullopt;
  ConvGraph graph(op, *target_);
  if (std::optional<Plan> plan = graph.remembered(known)) {
    if (still_agrees(s, key, graph, *plan, trial())) return Entry{std::move(graph), std::move(*plan)};
  }
  std::vector<Plan> plans = graph.candidates(kTimed, kMostWorkspace, compiled);
  if (plans.empty()) return std::nullopt;
  const std::optional<size_t> best = fastest(s, key, graph, plans, trial());
  file_->add(key, best ? plans[*best].engine : Engine{});
  if (!best) return std::nullopt;
  return Entry{std::move(graph), std::move(plans[*best])};
}

}  // namespace telltale::cudnn
#endif
