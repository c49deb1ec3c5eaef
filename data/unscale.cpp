#include "data/unscale.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <span>
#include <vector>

#include "base/check.h"
#include "data/jpeg_grid.h"
#include "data/luma.h"

namespace telltale {
namespace {

constexpr int kTaps = 16;  // pixels along an axis that one is restored from

double sinc(double x) { return x == 0 ? 1 : std::sin(std::numbers::pi * x) / (std::numbers::pi * x); }

/// A filter's curve, and how far it reaches.
double support_of(ScalingFilter f) {
  switch (f) {
    case ScalingFilter::area: return 0.5;
    case ScalingFilter::bicubic: return 2;
    case ScalingFilter::lanczos: return 3;
    default: return 1;
  }
}
double curve_of(ScalingFilter f, double x) {
  x = std::abs(x);
  switch (f) {
    case ScalingFilter::area: return x <= 0.5 ? 1 : 0;
    case ScalingFilter::bicubic:  // Keys 1981, a = −1/2
      return x < 1 ? (1.5 * x - 2.5) * x * x + 1 : x < 2 ? ((-0.5 * x + 2.5) * x - 4) * x + 2 : 0;
    case ScalingFilter::lanczos: return x < 3 ? sinc(x) * sinc(x / 3) : 0;
    default: return std::max(0.0, 1 - x);
  }
}

/// The covariance of a photograph's pixels so far apart along an axis. The constant stands for what they share over any
/// distance, so that brightness comes back whole.
double covariance(int distance) {
  constexpr size_t kFar = 256;
  static const std::array<double, kFar> table = [] {
    constexpr double kVariance = 2500, kNeighbours = 0.97, kShared = 200;
    std::array<double, kFar> t;
    for (size_t d = 0; d < kFar; ++d) t[d] = kVariance * std::pow(kNeighbours, d) + kShared;
    return t;
  }();
  return table[std::min(size_t(std::abs(distance)), kFar - 1)];
}

/// One axis: `before` pixels, of which `now` were made.
struct Axis {
  int before = 0, now = 0;
  ScalingFilter filter = ScalingFilter::bilinear;
  double ratio = double(before) / now;  ///< pixels before for one of now
  double shift = 0;                     ///< by which now begins later, in pixels before

  /// What pixel i of now was made of.
  struct Made {
    int first = 0;
    std::vector<double> weights;
  };
  Made made(int i) const {
    const double wide = filter == ScalingFilter::bilinear_aliased ? 1 : std::max(ratio, 1.0);
    const double centre = (i + 0.5) * ratio + shift, reach = support_of(filter) * wide;
    Made m{std::max(0, int(std::floor(centre - reach + 0.5))), {}};
    const int end = std::min(before, std::max(m.first + 1, int(std::floor(centre + reach + 0.5))));
    m.first = std::min(m.first, before - 1);
    double sum = 0;
    for (int j = m.first; j < end; ++j) {
      m.weights.push_back(curve_of(filter, (j + 0.5 - centre) / wide));
      sum += m.weights.back();
    }
    if (m.weights.empty() || sum == 0) return {std::clamp(int(centre), 0, before - 1), {1}};
    for (double& w : m.weights) w /= sum;
    return m;
  }
};

/// How pixels before are estimated from those of now: from kTaps of them, beginning at `first`.
struct Estimate {
  int first = 0;
  std::array<float, kTaps> weights;
};

/// Solves a x = b for a symmetric positive definite a, which it overwrites.
std::array<double, kTaps> solved(std::array<std::array<double, kTaps>, kTaps>& a, std::array<double, kTaps> b) {
  for (size_t j = 0; j < kTaps; ++j) {  // Cholesky, the factor in the lower triangle
    for (size_t k = 0; k < j; ++k)
      for (size_t i = j; i < kTaps; ++i) a[i][j] -= a[i][k] * a[j][k];
    const double root = std::sqrt(a[j][j]);
    for (size_t i = j; i < kTaps; ++i) a[i][j] /= root;
  }
  for (size_t i = 0; i < kTaps; ++i) {
    for (size_t k = 0; k < i; ++k) b[i] -= a[i][k] * b[k];
    b[i] /= a[i][i];
  }
  for (size_t i = kTaps; i-- > 0;) {
    for (size_t k = i + 1; k < kTaps; ++k) b[i] -= a[k][i] * b[k];
    b[i] /= a[i][i];
  }
  return b;
}

/// Of `count` pixels from `first` on, all of them before.
std::vector<Estimate> estimates(const Axis& axis, int first, int count) {
  constexpr double kNoise = 0.12;  // of what was rounded, as a variance: 1/12, and a little for what else was lost
  const auto nearest = [&](int p) {
    const int at = int(std::floor((p + 0.5 - axis.shift) / axis.ratio)) - kTaps / 2;
    return std::clamp(at, 0, axis.now - kTaps);
  };
  const int low = nearest(first), high = nearest(first + count - 1) + kTaps;
  std::vector<Axis::Made> made;
  int from = first, to = first + count;  // pixels before that any of these was made of, and those wanted
  for (int i = low; i < high; ++i) {
    made.push_back(axis.made(i));
    from = std::min(from, made.back().first);
    to = std::max(to, made.back().first + int(made.back().weights.size()));
  }
  // How each of now varies with each before, and with each of now.
  const auto across = size_t(to - from), rows = made.size();
  std::vector<double> with_before(rows * across);
  for (size_t i = 0; i < rows; ++i)
    for (size_t k = 0; k < made[i].weights.size(); ++k)
      for (size_t j = 0; j < across; ++j)
        with_before[i * across + j] += made[i].weights[k] * covariance(made[i].first + int(k) - from - int(j));
  std::vector<double> with_now(rows * rows);
  for (size_t i = 0; i < rows; ++i)
    for (size_t j = i; j < std::min(rows, i + kTaps); ++j) {
      double sum = i == j ? kNoise : 0;
      for (size_t k = 0; k < made[j].weights.size(); ++k)
        sum += made[j].weights[k] * with_before[i * across + size_t(made[j].first - from) + k];
      with_now[i * rows + j] = with_now[j * rows + i] = sum;
    }
  std::vector<Estimate> all;
  for (int p = first; p < first + count; ++p) {
    Estimate e{nearest(p), {}};
    const auto row = size_t(e.first - low);
    std::array<std::array<double, kTaps>, kTaps> a;
    std::array<double, kTaps> b;
    for (size_t i = 0; i < kTaps; ++i) {
      for (size_t j = 0; j < kTaps; ++j) a[i][j] = with_now[(row + i) * rows + row + j];
      b[i] = with_before[(row + i) * across + size_t(p - from)];
    }
    const std::array<double, kTaps> x = solved(a, b);
    std::copy(x.begin(), x.end(), e.weights.begin());
    all.push_back(e);
  }
  return all;
}

/// Of all pixels before, some at a time: what relates them grows with the square of their number.
std::vector<Estimate> all_estimates(const Axis& axis) {
  constexpr int kAtOnce = 64;
  std::vector<Estimate> all;
  for (int first = 0; first < axis.before; first += kAtOnce) {
    const std::vector<Estimate> some = estimates(axis, first, std::min(kAtOnce, axis.before - first));
    all.insert(all.end(), some.begin(), some.end());
  }
  return all;
}

struct Brightness {
  int width, height;
  std::vector<float> light;
  explicit Brightness(const Image& image) : width(image.width), height(image.height) {
    light.reserve(size_t(width) * size_t(height));
    for (size_t i = 0; i < image.rgb.size(); i += 3) light.push_back(luma(&image.rgb[i]));
  }
};

constexpr int kSide = 15;  // of a GridPlace

/// Estimates away from a picture's ends: they depend on a ratio, and on where between two pixels of now one before
/// lies. For the search they are computed for 16 such places, and between them linear: steps would be a grid of their
/// own.
class Phases {
 public:
  Phases(double ratio, ScalingFilter filter) {
    constexpr int kMiddle = 64;  // of an axis long enough
    for (int i = 0; i <= kPhases; ++i) {
      const int before = int(2 * kMiddle * ratio), pixel = before / 2;
      const double at = kMiddle + (double(i) + (i == kPhases ? -1e-9 : 1e-9)) / kPhases;
      const Axis axis{before, 2 * kMiddle, filter, ratio, pixel + 0.5 - at * ratio};
      table_[size_t(i)] = estimates(axis, pixel, 1)[0].weights;
    }
  }
  /// Of kSide pixels before from p on, of an axis of that ratio, about the table's.
  std::vector<Estimate> of(int p, double ratio) const {
    std::vector<Estimate> all;
    all.reserve(kSide);
    for (int i = 0; i < kSide; ++i) {
      const double at = (p + i + 0.5) / ratio, phase = (at - std::floor(at)) * kPhases;
      const auto low = std::min(size_t(phase), size_t(kPhases - 1));
      const float share = float(phase - double(low));
      Estimate e{int(std::floor(at)) - kTaps / 2, {}};
      for (size_t k = 0; k < kTaps; ++k) e.weights[k] = table_[low][k] + share * (table_[low + 1][k] - table_[low][k]);
      all.push_back(e);
    }
    return all;
  }

 private:
  static constexpr int kPhases = 16;
  std::array<std::array<float, kTaps>, kPhases + 1> table_;
};

/// Where along an axis `most` places begin at most, within `extent` pixels before around its middle, and away from its
/// ends.
std::vector<int> places_along(int before, double ratio, int extent, int most) {
  constexpr int kBlock = 8;
  constexpr int kEnd = kTaps / 2 + 1;  // of now
  const int end = int(std::ceil(kEnd * ratio));
  extent = std::min(extent, before - 2 * end);
  // In blocks, so that all places' grids are the same.
  const int begin = ((before - extent) / 2 + kBlock - 1) / kBlock, last = ((before + extent) / 2 - kSide) / kBlock;
  const int count = std::max(0, std::min(last - begin + 1, most));
  std::vector<int> places;
  places.reserve(size_t(count));
  for (int k = 0; k < count; ++k)
    places.push_back(kBlock * (begin + (count > 1 ? (last - begin) * k / (count - 1) : 0)));
  return places;
}

/// How thoroughly a scaling is tried.
struct Trial {
  int extent;       ///< pixels before around the middle, along both axes
  int places;       ///< along both
  int frequencies;  ///< at most
};
/// What stands out beyond chance: fewer places have more of that.
double evidence_of(const Brightness& now, const Scaling& scaling, const Trial& trial) {
  constexpr double kStandardErrors = 3;
  // Shrinking leaves little of those of more periods in a block's length.
  constexpr double kLeft = 7.2;
  constexpr int kMostLeft = 5;
  const double ratio = double(scaling.width) / now.width, ratio_down = double(scaling.height) / now.height;
  GridVotes votes(ratio > 1 ? std::min(kMostLeft, int(kLeft / ratio)) : trial.frequencies);
  const Phases phases(ratio, scaling.filter);
  std::vector<std::vector<Estimate>> across;
  for (const int right : places_along(scaling.width, ratio, trial.extent, trial.places))
    across.push_back(phases.of(right, ratio));
  std::vector<std::array<float, kSide + 1>> lines;
  for (const int down : places_along(scaling.height, ratio_down, trial.extent, trial.places)) {
    const std::vector<Estimate> v = phases.of(down, ratio_down);
    const int top = v.front().first;
    for (const std::vector<Estimate>& u : across) {
      lines.assign(size_t(v.back().first + kTaps - top), {});
      for (size_t x = 0; x < kSide; ++x) {
        const float* from = &now.light[size_t(top) * size_t(now.width) + size_t(u[x].first)];
        for (auto& line : lines) {
          float sum = 0;
          for (size_t k = 0; k < kTaps; ++k) sum += u[x].weights[k] * from[k];
          line[x] = sum;
          from += now.width;
        }
      }
      GridPlace place{};
      for (size_t y = 0; y < kSide; ++y)
        for (size_t k = 0; k < kTaps; ++k) {
          const auto& line = lines[size_t(v[y].first - top) + k];
          for (size_t x = 0; x < line.size(); ++x) place[y][x] += v[y].weights[k] * line[x];
        }
      votes.add(place);
    }
  }
  return votes.evidence() - kStandardErrors * votes.standard_error();
}

/// The `count` with the most evidence.
void keep_best(std::vector<Scaling>& tried, size_t count) {
  count = std::min(count, tried.size());
  std::partial_sort(tried.begin(), tried.begin() + long(count), tried.end(),
                    [](const Scaling& a, const Scaling& b) { return a.evidence > b.evidence; });
  tried.resize(count);
}

}  // namespace

const char* name_of(ScalingFilter f) {
  switch (f) {
    case ScalingFilter::area: return "area";
    case ScalingFilter::bilinear: return "bilinear";
    case ScalingFilter::bicubic: return "bicubic";
    case ScalingFilter::lanczos: return "Lanczos";
    default: return "bilinear without antialiasing";
  }
}

std::optional<Scaling> find_scaling(const Image& image) {
  constexpr int kLeastSide = 96, kLeastBefore = 40;
  constexpr double kLeastShrunk = 0.15, kLeastEnlarged = 0.35;  // the evidence of enlarging is strong, or chance
  // From a ratio of 8/5 on what undoing makes up has a period of blocks itself, and little is left to be found.
  constexpr double kMostShrunk = 1.55, kMostEnlarged = 2.2;
  constexpr Trial kFirst{160, 8, 5};  // so few pixels bear a size that is wrong by 1/160: a pixel at most
  constexpr size_t kKept = 6;
  if (std::min(image.width, image.height) < kLeastSide) return std::nullopt;
  const Brightness now(image);
  const auto at = [&](double width, int taller, ScalingFilter filter, const Trial& trial) {
    Scaling s{int(std::lround(width)), int(std::lround(width * image.height / image.width)) + taller, filter};
    s.evidence = evidence_of(now, s, trial);
    return s;
  };
  std::vector<Scaling> tried;
  const double proportion = std::max(1.0, double(image.width) / image.height);
  for (double width = std::max(image.width / kMostEnlarged, kLeastBefore * proportion);
       width < image.width * kMostShrunk; width += std::max(1.0, 0.75 * width / kFirst.extent))
    if (std::abs(width - image.width) >= 1) tried.push_back(at(width, 0, ScalingFilter::bicubic, kFirst));
  keep_best(tried, kKept);
  // More of the picture, and smaller steps, until a step is a pixel.
  const int longest = std::max(image.width, image.height);
  Trial trial{2 * kFirst.extent, 12, 7};
  for (bool last = false; !last; trial.extent *= 2) {
    last = trial.extent >= longest;
    std::vector<Scaling> finer;
    for (const Scaling& s : tried)
      for (int step = -1; step <= 1; ++step)
        for (const ScalingFilter filter : {ScalingFilter::bilinear, ScalingFilter::lanczos}) {
          const double width = s.width + step * std::max(1.0, double(s.width) / trial.extent);
          if (std::abs(width - image.width) >= 1) finer.push_back(at(width, 0, filter, trial));
        }
    tried = std::move(finer);
    keep_best(tried, kKept);
  }
  if (tried.empty() || tried[0].evidence < 0) return std::nullopt;
  trial.places = 24;
  std::vector<Scaling> exact;
  for (const int taller : {-1, 0, 1}) exact.push_back(at(tried[0].width, taller, tried[0].filter, trial));
  keep_best(exact, 1);
  const Scaling best = exact[0];
  for (const ScalingFilter filter : {ScalingFilter::area, ScalingFilter::bilinear, ScalingFilter::bicubic,
                                     ScalingFilter::lanczos, ScalingFilter::bilinear_aliased}) {
    exact.push_back(best);
    exact.back().filter = filter;
    exact.back().evidence = evidence_of(now, exact.back(), trial);
  }
  keep_best(exact, 1);
  const double least = exact[0].width > image.width ? kLeastShrunk : kLeastEnlarged;
  return exact[0].evidence >= least ? std::optional(exact[0]) : std::nullopt;
}

Image undo_scaling(const Image& image, const Scaling& scaling) {
  TT_CHECK(scaling.width > 0 && scaling.height > 0, ShapeError, "a picture was not scaled from ", scaling.width, "x",
           scaling.height);
  TT_CHECK(std::min(image.width, image.height) >= kTaps, ShapeError, "a picture of ", image.width, "x", image.height,
           " is too small to undo its scaling: ", kTaps, " pixels a side are needed");
  const std::vector<Estimate> columns = all_estimates({scaling.width, image.width, scaling.filter}),
                              rows = all_estimates({scaling.height, image.height, scaling.filter});
  Image before(scaling.width, scaling.height);
  const size_t stride = size_t(scaling.width) * 3;
  std::vector<std::vector<float>> lines(kTaps);  // of now, restored across; line y in place y % kTaps
  std::vector<float> sum(stride);
  int next = 0;
  for (int y = 0; y < scaling.height; ++y) {
    const Estimate& e = rows[size_t(y)];
    for (next = std::max(next, e.first); next < e.first + kTaps; ++next) {
      std::vector<float>& line = lines[size_t(next % kTaps)];
      line.assign(stride, 0);
      for (size_t x = 0; x < columns.size(); ++x) {
        const uint8_t* from = image.at(columns[x].first, next);
        for (size_t k = 0; k < kTaps; ++k)
          for (size_t c = 0; c < 3; ++c) line[3 * x + c] += columns[x].weights[k] * float(from[3 * k + c]);
      }
    }
    std::fill(sum.begin(), sum.end(), 0.f);
    for (int k = 0; k < kTaps; ++k) {
      const std::vector<float>& line = lines[size_t((e.first + k) % kTaps)];
      for (size_t i = 0; i < stride; ++i) sum[i] += e.weights[size_t(k)] * line[i];
    }
    uint8_t* to = before.at(0, y);
    for (size_t i = 0; i < stride; ++i) to[i] = uint8_t(std::clamp(std::lround(sum[i]), 0l, 255l));
  }
  return before;
}

}  // namespace telltale
