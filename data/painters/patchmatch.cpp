// Completion by patches from elsewhere in the photograph, coarse to fine (Wexler et al. 2007), nearest patches found by
// PatchMatch (Barnes et al. 2009). At every size: find for each patch that touches the hole the most alike known one,
// then let each hole pixel take what the patches over it propose; repeat.
#include <algorithm>
#include <cmath>

#include "data/painters/painter.h"

namespace telltale {
namespace {

constexpr int kLargestRadius = 3;       // of patches: 7 × 7
constexpr int kFewestSources = 64;      // with fewer known patches, smaller ones are taken
constexpr int kSmallestSide = 20;       // of the coarsest picture
constexpr float kThinHole = 3;          // a hole this thin needs no coarser picture
constexpr float kTrustPerPixel = 1.3f;  // a proposal counts this much less for each pixel deeper in the hole

constexpr float kStrictness = 3;  // how soon a proposal of an ill-matching patch counts for nothing

constexpr float kLeastTrust = 1e-20f;  // above what a float can no longer divide by

enum class Take {
  mean,  ///< a weighted mean of all proposals: smooth
  best   ///< the one of most weight: copies texture whole
};

struct Level {
  Picture picture;
  Grey mask;
};

/// Half the size by means of what is known; hole where less than half is known.
Level halve(const Level& fine) {
  Level coarse{Picture((fine.picture.width + 1) / 2, (fine.picture.height + 1) / 2), {}};
  coarse.mask = Grey(coarse.picture.width, coarse.picture.height);
  for (int y = 0; y < coarse.mask.height; ++y)
    for (int x = 0; x < coarse.mask.width; ++x) {
      float sum[3] = {0, 0, 0}, known = 0, all = 0;
      for (int v = 2 * y; v < std::min(2 * y + 2, fine.mask.height); ++v)
        for (int u = 2 * x; u < std::min(2 * x + 2, fine.mask.width); ++u) {
          ++all;
          if (fine.mask.pixels[size_t(v) * size_t(fine.mask.width) + size_t(u)] >= 128) continue;
          for (int c = 0; c < 3; ++c) sum[c] += fine.picture.at(u, v)[c];
          ++known;
        }
      for (int c = 0; c < 3 && known > 0; ++c) coarse.picture.at(x, y)[c] = sum[c] / known;
      coarse.mask.pixels[size_t(y) * size_t(coarse.mask.width) + size_t(x)] = 2 * known < all ? 255 : 0;
    }
  return coarse;
}

/// Where each pixel's patch is best matched; only entries of targets mean something.
struct Field {
  int width = 0, height = 0;
  std::vector<int> x, y;
  bool empty() const { return x.empty(); }
};

/// One size: patches of radius R, the picture's edge repeated R pixels outwards.
template <int R>
class Completion {
 public:
  static constexpr int kSide = 2 * R + 1;

  Completion(Picture& picture, const Grey& mask, Random& random)
      : picture_(picture),
        mask_(mask),
        random_(random),
        width_(picture.width),
        height_(picture.height),
        stride_((width_ + 2 * R) * 3),
        padded_(size_t(stride_) * size_t(height_ + 2 * R)),
        depth_(depth_in_hole(mask)) {
    find_sources();
    pad();
  }

  size_t sources() const { return sources_.size(); }

  /// Repeats search and vote; starts from `field` scaled up, or from random matches.
  void run(Field& field, int rounds, int sweeps, Take last) {
    begin(field);
    for (int round = 0; round < rounds; ++round) {
      for (size_t k = 0; k < targets_.size(); ++k) cost_[k] = distance(targets_[k], match_[k], kNoLimit);
      for (int sweep = 0; sweep < sweeps; ++sweep) search(sweep % 2 == 0);
      vote(round + 1 == rounds ? last : Take::mean);
      pad();
    }
    end(field);
  }

 private:
  static constexpr float kNoLimit = 1e30f;

  size_t index(int x, int y) const { return size_t(y) * size_t(width_) + size_t(x); }
  bool is_hole(int x, int y) const { return mask_.pixels[index(x, y)] >= 128; }

  /// Patches inside the picture without a hole pixel; and patches that touch the hole. By counts over rows, then
  /// columns.
  void find_sources() {
    is_source_.assign(mask_.pixels.size(), 0);
    slot_.assign(mask_.pixels.size(), -1);
    std::vector<int> in_row(mask_.pixels.size());
    for (int y = 0; y < height_; ++y)
      for (int x = 0; x < width_; ++x)
        for (int u = std::max(0, x - R); u <= std::min(width_ - 1, x + R); ++u) in_row[index(x, y)] += is_hole(u, y);
    for (int y = 0; y < height_; ++y)
      for (int x = 0; x < width_; ++x) {
        int holes = 0;
        for (int v = std::max(0, y - R); v <= std::min(height_ - 1, y + R); ++v) holes += in_row[index(x, v)];
        if (holes > 0) {
          slot_[index(x, y)] = int(targets_.size());
          targets_.push_back(int(index(x, y)));
        } else if (x >= R && y >= R && x + R < width_ && y + R < height_) {
          is_source_[index(x, y)] = 1;
          sources_.push_back(int(index(x, y)));
        }
      }
  }

  void pad() {
    for (int y = -R; y < height_ + R; ++y) {
      const float* from = picture_.at(0, std::clamp(y, 0, height_ - 1));
      float* to = padded_.data() + size_t(y + R) * size_t(stride_);
      for (int x = 0; x < R; ++x) std::copy_n(from, 3, to + 3 * x);
      std::copy_n(from, size_t(width_) * 3, to + 3 * R);
      for (int x = 0; x < R; ++x) std::copy_n(from + 3 * (width_ - 1), 3, to + 3 * (R + width_ + x));
    }
  }

  const float* patch(int pixel) const {
    return padded_.data() + size_t(pixel / width_) * size_t(stride_) + size_t(pixel % width_) * 3;
  }

  /// Sum of squared differences of two patches; anything above `limit` may be cut short.
  float distance(int a, int b, float limit) const {
    const float *p = patch(a), *q = patch(b);
    float sum = 0;
    for (int row = 0; row < kSide; ++row, p += stride_, q += stride_) {
      float part = 0;
#pragma omp simd reduction(+ : part)
      for (int i = 0; i < 3 * kSide; ++i) part += (p[i] - q[i]) * (p[i] - q[i]);
      sum += part;
      if (sum >= limit) break;
    }
    return sum;
  }

  int any_source() { return sources_[size_t(uint64_t(random_()) * sources_.size() >> 32)]; }

  void begin(const Field& field) {
    match_.resize(targets_.size());
    cost_.resize(targets_.size());
    for (size_t k = 0; k < targets_.size(); ++k) {
      int found = -1;
      if (!field.empty()) {
        const int x = targets_[k] % width_, y = targets_[k] / width_;
        const size_t above =
            size_t(std::min(y / 2, field.height - 1)) * size_t(field.width) + size_t(std::min(x / 2, field.width - 1));
        const int u = 2 * field.x[above] + x % 2, v = 2 * field.y[above] + y % 2;
        if (field.x[above] >= 0 && u < width_ && v < height_ && is_source_[index(u, v)]) found = int(index(u, v));
      }
      match_[k] = found >= 0 ? found : any_source();
    }
  }

  void end(Field& field) const {
    field = {width_, height_, std::vector<int>(mask_.pixels.size(), -1), std::vector<int>(mask_.pixels.size(), -1)};
    for (size_t k = 0; k < targets_.size(); ++k) {
      field.x[size_t(targets_[k])] = match_[k] % width_;
      field.y[size_t(targets_[k])] = match_[k] / width_;
    }
  }

  void propose(size_t k, int x, int y) {
    if (x < 0 || y < 0 || x >= width_ || y >= height_ || !is_source_[index(x, y)]) return;
    const int candidate = int(index(x, y));
    if (candidate == match_[k]) return;
    const float cost = distance(targets_[k], candidate, cost_[k]);
    if (cost < cost_[k]) cost_[k] = cost, match_[k] = candidate;
  }

  /// One sweep: each patch tries its neighbours' matches moved along, then random ones ever nearer to its own.
  void search(bool forward) {
    const int step = forward ? 1 : -1;
    for (size_t n = 0; n < targets_.size(); ++n) {
      const size_t k = forward ? n : targets_.size() - 1 - n;
      const int x = targets_[k] % width_, y = targets_[k] / width_;
      const auto follow = [&](int u, int v) {
        if (u < 0 || v < 0 || u >= width_ || v >= height_) return;
        const int slot = slot_[index(u, v)];
        if (slot >= 0) propose(k, match_[size_t(slot)] % width_ + x - u, match_[size_t(slot)] / width_ + y - v);
      };
      follow(x - step, y);
      follow(x, y - step);
      for (int reach = std::max(width_, height_) / 2; reach >= 1; reach /= 2) {
        const uint32_t word = random_();
        const uint32_t span = uint32_t(2 * reach + 1);
        propose(k, match_[k] % width_ + int((word & 0xffff) * span >> 16) - reach,
                match_[k] / width_ + int((word >> 16) * span >> 16) - reach);
      }
    }
  }

  /// A typical cost, by which others are judged: the third quartile.
  float scale_of_costs() const {
    std::vector<float> costs = cost_;
    const auto at = costs.begin() + ptrdiff_t(costs.size() * 3 / 4);
    std::nth_element(costs.begin(), at, costs.end());
    return std::max(*at, 1e-6f);
  }

  void vote(Take take) {
    const float scale = scale_of_costs();
    std::vector<float> trust(targets_.size());
    for (size_t k = 0; k < targets_.size(); ++k)
      trust[k] = std::max(kLeastTrust, std::exp(-kStrictness * cost_[k] / scale) *
                                           std::pow(kTrustPerPixel, -std::min(depth_[size_t(targets_[k])], 60.f)));
    Picture voted = picture_;
    for (int y = 0; y < height_; ++y)
      for (int x = 0; x < width_; ++x) {
        if (!is_hole(x, y)) continue;
        float sum[3] = {0, 0, 0}, weights = 0;
        for (int v = std::max(0, y - R); v <= std::min(height_ - 1, y + R); ++v)
          for (int u = std::max(0, x - R); u <= std::min(width_ - 1, x + R); ++u) {
            const size_t k = size_t(slot_[index(u, v)]);  // its patch covers (x, y), so it is a target
            const float* from = picture_.at(match_[k] % width_ + x - u, match_[k] / width_ + y - v);
            const float weight = trust[k];
            if (take == Take::mean) {
              for (int c = 0; c < 3; ++c) sum[c] += weight * from[c];
              weights += weight;
            } else if (weight > weights) {
              std::copy_n(from, 3, sum);
              weights = weight;
            }
          }
        const float share = take == Take::mean ? 1 / weights : 1;
        for (int c = 0; c < 3; ++c) voted.at(x, y)[c] = sum[c] * share;
      }
    picture_ = std::move(voted);
  }

  Picture& picture_;
  const Grey& mask_;
  Random& random_;
  int width_, height_, stride_;
  std::vector<float> padded_, depth_;
  std::vector<uint8_t> is_source_;
  std::vector<int> slot_;  // a pixel's place among the targets, or -1
  std::vector<int> sources_, targets_, match_;
  std::vector<float> cost_;
};

template <int R>
void complete(Level& level, Field& field, Random& random, bool finest, Take last) {
  Completion<R> completion(level.picture, level.mask, random);
  if constexpr (R > 0)
    if (completion.sources() < size_t(kFewestSources)) return complete<R - 1>(level, field, random, finest, last);
  // Coarse pictures decide what goes where and cost little; the finest only sharpens.
  completion.run(field, finest ? 2 : 6, finest ? 2 : 4, finest ? last : Take::mean);
}

Picture paint_patchmatch(const PaintTask& task, Random& random) {
  if (std::all_of(task.mask.pixels.begin(), task.mask.pixels.end(), [](uint8_t v) { return v >= 128; }))
    return Picture(task.photo.width, task.photo.height, 0.5f);  // nothing is known
  const Take last = random.uniform() < .3 ? Take::mean : Take::best;
  std::vector<Level> levels{{task.photo, task.mask}};
  while (true) {
    const Level& l = levels.back();
    const std::vector<float> depth = depth_in_hole(l.mask);
    const float deepest = *std::max_element(depth.begin(), depth.end());
    if (std::min(l.mask.width, l.mask.height) / 2 < kSmallestSide || deepest <= kThinHole) break;
    Level coarse = halve(l);
    if (std::count(coarse.mask.pixels.begin(), coarse.mask.pixels.end(), uint8_t(0)) < kFewestSources) break;
    levels.push_back(std::move(coarse));
  }
  Field field;
  for (size_t k = levels.size(); k-- > 0;) {
    Level& l = levels[k];
    const bool coarsest = k + 1 == levels.size();
    if (coarsest) {
      fill_harmonic(l.picture, l.mask);
    } else {
      const Picture& coarse = levels[k + 1].picture;
      for (int y = 0; y < l.mask.height; ++y)
        for (int x = 0; x < l.mask.width; ++x)
          if (l.mask.pixels[size_t(y) * size_t(l.mask.width) + size_t(x)] >= 128)
            std::copy_n(coarse.at(x / 2, y / 2), 3, l.picture.at(x, y));
    }
    if (std::none_of(l.mask.pixels.begin(), l.mask.pixels.end(), [](uint8_t v) { return v >= 128; })) continue;
    complete<kLargestRadius>(l, field, random, k == 0, last);
  }
  return std::move(levels.front().picture);
}

const bool kKnown = register_painter({"patchmatch", PainterKind::inpaint, paint_patchmatch});

}  // namespace
}  // namespace telltale
