#include "losses/gradient_check.h"

#include <algorithm>
#include <cmath>
#include <iomanip>
#include <limits>
#include <utility>

#include "base/check.h"

namespace telltale {
namespace {

struct Gradient {
  double value, step;  ///< step: the one the value was found with
};

/// The gradient of f to one side of 0, from steps of `widest` (signed) downwards. Each is halved and extrapolated
/// (Richardson). Curvature differs between samples by orders of magnitude, so that step is taken whose halving changes
/// the result least, f's own rounding counted in.
Gradient one_sided(const std::function<std::pair<double, double>(double)>& f, double widest) {
  const double at_zero = f(0).first;
  Gradient best{std::numeric_limits<double>::quiet_NaN(), 0};
  double least = std::numeric_limits<double>::infinity(), difference = 0, extrapolated = 0;
  for (int halvings = 0; halvings < 40; ++halvings) {
    const auto [value, step] = f(std::ldexp(widest, -halvings));
    if (step == 0) break;  // below the coordinate's resolution
    const double before = difference, extrapolated_before = extrapolated;
    difference = (value - at_zero) / step;
    extrapolated = 2 * difference - before;
    const double rounding = 0x1p-50 * (1 + std::abs(at_zero)) / std::abs(step);
    const double change = std::abs(extrapolated - extrapolated_before) + rounding;
    if (halvings >= 2 && change < least) {
      least = change;
      best = {extrapolated, std::abs(step)};
    }
  }
  return best;
}

/// Bounds of a gradient: the backward and the forward difference at p, and wherever else it was looked for.
struct Bounds {
  double low, high, step;
  double error(double gradient) const {
    return std::max({low - gradient, gradient - high, 0.0}) / std::max(1.0, std::abs(gradient));
  }
  void include(const Bounds& o) {
    low = std::min(low, o.low);
    high = std::max(high, o.high);
  }
  bool finite() const { return std::isfinite(low) && std::isfinite(high); }
};

using Row = std::vector<double>;

/// Of the k-th number's gradient at p.
Bounds bounds_at(const GradientCheck& check, const Row& base, const Row& p, const Row& t, int k, double widest) {
  Row moved = p;
  const auto f = [&](double h) {
    moved[k] = p[k] + h;
    return std::pair(check.value(base.data(), moved.data(), t.data()), moved[k] - p[k]);
  };
  const Gradient left = one_sided(f, -widest), right = one_sided(f, widest);
  return {std::min(left.value, right.value), std::max(left.value, right.value), std::min(left.step, right.step)};
}

/// Finds the worst of one sample's gradients.
GradientPoint worst_at(const GradientCheck& check, Random& random, const GradientPoint& sample) {
  constexpr double kInfinite = std::numeric_limits<double>::infinity();
  const Row &p = sample.pred, &t = sample.target;
  Row dp(check.pred);
  GradientPoint worst = sample;
  const double value = check.value(p.data(), p.data(), t.data());
  worst.value = check.gradient(p.data(), t.data(), dp.data());
  if (!std::isfinite(worst.value) || !std::isfinite(value) ||
      std::abs(worst.value - value) > kGradientTolerance * std::max(1.0, std::abs(value))) {
    worst.error = kInfinite;
    worst.number = -1;
    worst.low = worst.high = value;
    return worst;
  }
  double widest = 0x1p-14;
  for (const Row& row : {p, t}) {
    for (double x : row) widest = std::max(widest, std::abs(x) / 256);
  }
  for (int k = 0; k < check.pred; ++k) {
    Bounds bounds = bounds_at(check, p, p, t, k, widest);
    const bool kink = bounds.high - bounds.low > kGradientTolerance * std::max(1.0, std::abs(dp[k]));
    for (int nearby = 0; kink && nearby < 1024 && bounds.finite() && bounds.error(dp[k]) > kGradientTolerance;
         ++nearby) {
      Row q = p;
      for (double& x : q) x += bounds.step * random.uniform(-1, 1);
      bounds.include(bounds_at(check, p, q, t, k, bounds.step / 8));
    }
    const double error = std::isfinite(dp[k]) && bounds.finite() ? bounds.error(dp[k]) : kInfinite;
    if (k == 0 || error > worst.error) {
      worst.error = error;
      worst.number = k;
      worst.gradient = dp[k];
      worst.low = bounds.low;
      worst.high = bounds.high;
    }
  }
  return worst;
}

std::string listed(const Row& row) {
  std::ostringstream text;
  text.precision(9);
  for (double x : row) text << (text.tellp() > 0 ? ", " : "") << x;
  return "(" + text.str() + ")";
}

/// What stop_gradient saw at the base, and how far it has been repeated.
struct Constants {
  std::vector<double> seen;
  size_t next = 0;
  bool repeating = false;
};
thread_local Constants constants;

}  // namespace

double RepeatConstants::constant(double x) {
  if (!constants.repeating) {
    constants.seen.push_back(x);
    return x;
  }
  // Beyond the recorded ones: p took another branch than the base did, and has constants of its own.
  return constants.next < constants.seen.size() ? constants.seen[constants.next++] : x;
}
void RepeatConstants::record() { constants = {}; }
void RepeatConstants::repeat() {
  constants.next = 0;
  constants.repeating = true;
}

std::string GradientPoint::describe() const {
  if (sample < 0) return "nothing was checked";
  const std::string where = cat("at pred ", listed(pred), ", target ", listed(target), " ");
  if (!std::isfinite(value)) return where + (std::isnan(value) ? "the loss is nan" : "the loss is infinite");
  if (number < 0) return where + cat("the hand-written loss is ", value, ", the formula gives ", low);
  if (std::isnan(gradient)) return where + cat("the gradient to pred[", number, "] is nan");
  std::string gradients = where + cat("the gradient to pred[", number, "] is ", std::setprecision(9), gradient);
  if (!std::isfinite(gradient)) return gradients;
  if (high - low <= kGradientTolerance * std::max(1.0, std::abs(gradient)))
    return gradients + cat(", differences say ", std::setprecision(9), (low + high) / 2);
  return gradients + cat(", differences say ", std::setprecision(9), low, " to ", high);
}

GradientPoint worst_gradient(const GradientCheck& check, uint64_t seed, int samples) {
  Random random(seed);
  GradientPoint worst;
  for (int i = 0; i < samples && std::isfinite(worst.error); ++i) {
    GradientPoint sample;
    sample.sample = i;
    sample.pred.resize(check.pred);
    sample.target.resize(check.target);
    check.sample(random, sample.pred.data(), sample.target.data(), i);
    const GradientPoint found = worst_at(check, random, sample);
    if (i == 0 || found.error > worst.error) worst = found;
  }
  return worst;
}

}  // namespace telltale
