#include "losses/gradient_check.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>
#include <vector>

namespace telltale {
namespace {

struct Slope {
  double value, step;  ///< step: the one the value was found with
};

/// The slope of f to one side of 0, from steps of `widest` (signed) downwards. Each is halved and extrapolated
/// (Richardson). Curvature differs between samples by orders of magnitude, so that step is taken whose halving changes
/// the result least, f's own rounding counted in.
Slope one_sided(const std::function<std::pair<double, double>(double)>& f, double widest) {
  const double at_zero = f(0).first;
  Slope best{std::numeric_limits<double>::quiet_NaN(), 0};
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

/// Bounds of a slope: the backward and the forward difference at p, and wherever else it was looked for.
struct Bounds {
  double low, high, step;
  double error(double slope) const {
    return std::max({low - slope, slope - high, 0.0}) / std::max(1.0, std::abs(slope));
  }
  void include(const Bounds& o) {
    low = std::min(low, o.low);
    high = std::max(high, o.high);
  }
  bool finite() const { return std::isfinite(low) && std::isfinite(high); }
};

using Row = std::vector<double>;

/// Of the k-th number's slope at p.
Bounds bounds_at(const SlopeCheck& check, const Row& base, const Row& p, const Row& t, int k, double widest) {
  Row moved = p, unused(check.pred);
  const auto f = [&](double h) {
    moved[k] = p[k] + h;
    return std::pair(check.eval(base.data(), moved.data(), t.data(), unused.data()), moved[k] - p[k]);
  };
  const Slope left = one_sided(f, -widest), right = one_sided(f, widest);
  return {std::min(left.value, right.value), std::max(left.value, right.value), std::min(left.step, right.step)};
}

}  // namespace

double worst_slope_error(const SlopeCheck& check, uint64_t seed, int samples) {
  constexpr double kInfinite = std::numeric_limits<double>::infinity(), kSmooth = 1e-6;
  Random random(seed);
  Row p(check.pred), t(check.target), dp(check.pred);
  double worst = 0;
  for (int i = 0; i < samples; ++i) {
    check.sample(random, p.data(), t.data(), i);
    if (!std::isfinite(check.eval(p.data(), p.data(), t.data(), dp.data()))) return kInfinite;
    double widest = 0x1p-14;
    for (const Row& row : {p, t}) {
      for (double x : row) widest = std::max(widest, std::abs(x) / 256);
    }
    for (int k = 0; k < check.pred; ++k) {
      Bounds bounds = bounds_at(check, p, p, t, k, widest);
      if (!std::isfinite(dp[k]) || !bounds.finite()) return kInfinite;
      const bool kink = bounds.high - bounds.low > kSmooth * std::max(1.0, std::abs(dp[k]));
      for (int nearby = 0; kink && nearby < 1024 && bounds.error(dp[k]) > kSmooth; ++nearby) {
        Row q = p;
        for (double& x : q) x += bounds.step * random.uniform(-1, 1);
        bounds.include(bounds_at(check, p, q, t, k, bounds.step / 8));
        if (!bounds.finite()) return kInfinite;
      }
      worst = std::max(worst, bounds.error(dp[k]));
    }
  }
  return worst;
}

void sample_logit(Random& random, double* p, double* t, int i) {
  constexpr double kScale[] = {1, 10, 1e-4, 1000};
  p[0] = i % 7 ? kScale[i % 4] * random.normal() : 0;
  t[0] = i % 3 ? i % 2 : random.uniform();
}

void sample_numbers(Random& random, double* p, double* t, int i) {
  constexpr double kScale[] = {1, 1, 1e-3, 16};
  for (int k = 0; k < 4; ++k) {
    t[k] = random.normal();
    const double differences[] = {random.normal(), 0, random.integer(0, 1) ? 1.0 : -1.0,
                                  random.normal() * kScale[i % 4]};
    // On a grid of 1/16 a difference of exactly 0 or 1 survives the subtraction.
    if (i % 4 != 3) t[k] = std::round(t[k] * 16) / 16;
    p[k] = t[k] + differences[(i + k) % 4];
  }
}

void sample_boxes(Random& random, double* p, double* t, int i) {
  enum Kind {
    generic,
    far,
    inside,
    outside,
    touching,
    corner,
    same,
    inverted,
    thin,
    point,
    both_empty,
    edges,
    centre,
    thin_target,
    kinds
  };
  // Dyadic coordinates and power-of-two scales keep every tie exact.
  const auto grid = [&](int low, int high) { return double(random.integer(low, high)) / 16; };
  for (int axis = 0; axis < 2; ++axis) {
    double &p0 = p[axis], &p1 = p[axis + 2], &t0 = t[axis], &t1 = t[axis + 2];
    t0 = grid(-8, 8);
    t1 = t0 + grid(4, 16);
    p0 = random.uniform(t0 - 0.2, t1 - 0.05);
    p1 = random.uniform(p0 + 0.05, t1 + 0.3);
    const double middle = (t0 + t1) / 2, length = t1 - t0;
    switch (i % kinds) {
      case far: p0 += axis ? 0 : 3, p1 += axis ? 0 : 3; break;
      case inside: p0 = random.uniform(t0, middle), p1 = random.uniform(middle, t1); break;
      case outside: p0 = t0 - random.uniform(0.01, 1), p1 = t1 + random.uniform(0.01, 1); break;
      case touching:
        if (axis == 0) p0 = t1, p1 = t1 + grid(1, 9);
        break;
      case corner: p0 = t1, p1 = t1 + grid(1, 9); break;
      case same: p0 = t0, p1 = t1; break;
      case inverted:
        if (axis == 0 || i / kinds % 2) std::swap(p0, p1);
        break;
      case thin:
        if (axis == 0) p1 = p0 = t0 + grid(-2, 2);
        break;
      case point: p1 = p0 = t0 + grid(-2, 2); break;
      case both_empty:
        if (axis == 0 || i / kinds % 2) t1 = t0;
        p0 = t0, p1 = t1;
        break;
      case edges: (random.integer(0, 1) ? p0 = t0 : p1 = t1); break;
      case centre: p0 = middle - length * (axis ? 0.25 : 1), p1 = middle + length * (axis ? 0.25 : 1); break;
      case thin_target:
        if (axis == 0) t1 = t0;
        break;
      default: break;
    }
  }
  const int round = i / kinds % 8;
  const double scale = round == 5 ? 0x1p-10 : round == 6 ? 0x1p20 : round == 7 ? 256 : 1;
  for (int k = 0; k < 4; ++k) p[k] *= scale, t[k] *= scale;
}

}  // namespace telltale
