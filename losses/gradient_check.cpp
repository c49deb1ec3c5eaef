#include "losses/gradient_check.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>
#include <vector>

namespace telltale {
namespace {

/// The slope of f at 0 to the side of `sign`. Each step is halved and extrapolated (Richardson); the step whose halving
/// changes the difference least is taken, because samples differ in scale by orders of magnitude.
template <class F>
double one_sided(const F& f, double at_zero, double sign) {
  double best = std::numeric_limits<double>::quiet_NaN(), least = std::numeric_limits<double>::infinity();
  double previous = 0;
  bool first = true;
  for (double h = 1e-3; h > 1e-13; h /= 2) {
    const auto [value, step] = f(sign * h);
    if (step == 0) break;  // below the resolution of a huge coordinate
    const double difference = (value - at_zero) / step;
    if (!first) {
      const double extrapolated = 2 * difference - previous, change = std::abs(difference - previous);
      if (change < least) {
        least = change;
        best = extrapolated;
      }
    }
    previous = difference;
    first = false;
  }
  return best;
}

}  // namespace

double worst_slope_error(const SlopeCheck& check, uint64_t seed, int samples) {
  constexpr double infinite = std::numeric_limits<double>::infinity();
  Random random(seed);
  std::vector<double> p(check.pred), t(check.target), dp(check.pred), unused(check.pred);
  double worst = 0;
  for (int i = 0; i < samples; ++i) {
    check.sample(random, p.data(), t.data(), i);
    const double at_zero = check.eval(p.data(), p.data(), t.data(), dp.data());
    if (!std::isfinite(at_zero)) return infinite;
    for (int k = 0; k < check.pred; ++k) {
      std::vector<double> moved = p;
      const auto f = [&](double h) {
        moved[k] = p[k] + h;
        return std::pair(check.eval(p.data(), moved.data(), t.data(), unused.data()), moved[k] - p[k]);
      };
      const double left = one_sided(f, at_zero, -1), right = one_sided(f, at_zero, 1);
      const auto [low, high] = std::minmax(left, right);
      const double error = std::max({low - dp[k], dp[k] - high, 0.0}) / std::max(1.0, std::abs(dp[k]));
      if (!std::isfinite(dp[k]) || !std::isfinite(left) || !std::isfinite(right)) return infinite;
      worst = std::max(worst, error);
    }
  }
  return worst;
}

void sample_numbers(Random& random, double* p, double* t, int i) {
  constexpr double kScale[] = {1, 1, 1e-3, 1e3};
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
        if (axis == 0 || i % 2) std::swap(p0, p1);
        break;
      case thin:
        if (axis == 0) p1 = p0 = t0 + grid(-2, 2);
        break;
      case point: p1 = p0 = t0 + grid(-2, 2); break;
      case both_empty:
        if (axis == 0 || i % 4 < 2) t1 = t0;
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
