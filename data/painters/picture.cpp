#include "data/painters/picture.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace telltale {
namespace {

constexpr float kNone = 1e12f;  // the squared distance of a pixel that has nothing outside the hole

/// Squared distances along one line: the lower envelope of parabolas that stand on `values`.
void transform_line(const std::vector<float>& values, std::vector<float>& out, std::vector<int>& where,
                    std::vector<float>& from) {
  const int n = int(values.size());
  int last = 0;
  where[0] = 0;
  from[0] = -kNone;
  from[1] = kNone;
  const auto meeting = [&](int q, int p) {
    return ((values[size_t(q)] + float(q) * float(q)) - (values[size_t(p)] + float(p) * float(p))) / float(2 * (q - p));
  };
  for (int q = 1; q < n; ++q) {
    float s = meeting(q, where[size_t(last)]);
    while (last > 0 && s <= from[size_t(last)]) s = meeting(q, where[size_t(--last)]);
    where[size_t(++last)] = q;
    from[size_t(last)] = s;
    from[size_t(last) + 1] = kNone;
  }
  for (int q = 0, k = 0; q < n; ++q) {
    while (k < last && from[size_t(k) + 1] < float(q)) ++k;
    const float d = float(q - where[size_t(k)]);
    out[size_t(q)] = d * d + values[size_t(where[size_t(k)])];
  }
}

/// Half the size: means of what is known; a coarse pixel is hole when nothing below it is known.
void halve(const Picture& fine, const Grey& mask, Picture& coarse, Grey& coarse_mask) {
  coarse = Picture((fine.width + 1) / 2, (fine.height + 1) / 2);
  coarse_mask = Grey(coarse.width, coarse.height);
  for (int y = 0; y < coarse.height; ++y)
    for (int x = 0; x < coarse.width; ++x) {
      float sum[3] = {0, 0, 0}, known = 0;
      for (int v = 2 * y; v < std::min(2 * y + 2, fine.height); ++v)
        for (int u = 2 * x; u < std::min(2 * x + 2, fine.width); ++u) {
          if (mask.pixels[size_t(v) * size_t(mask.width) + size_t(u)] > 0) continue;
          for (int c = 0; c < 3; ++c) sum[c] += fine.at(u, v)[c];
          ++known;
        }
      coarse_mask.pixels[size_t(y) * size_t(coarse.width) + size_t(x)] = known > 0 ? 0 : 255;
      for (int c = 0; c < 3 && known > 0; ++c) coarse.at(x, y)[c] = sum[c] / known;
    }
}

/// Successive over-relaxation, hole pixels in reading order.
void relax(Picture& p, const std::vector<int>& hole, int sweeps) {
  constexpr float kOver = 1.7f;
  const size_t line = size_t(p.width) * 3;
  for (int sweep = 0; sweep < sweeps; ++sweep) {
    const float over = sweep + 2 < sweeps ? kOver : 1.0f;  // the last sweeps only smooth
    for (const int i : hole) {
      const int x = i % p.width, y = i / p.width;
      float* at = p.at(x, y);
      const bool left = x > 0, right = x + 1 < p.width, up = y > 0, down = y + 1 < p.height;
      const float share = 1.0f / float(std::max(1, left + right + up + down));
      for (int c = 0; c < 3; ++c) {
        float sum = 0;
        if (left) sum += at[c - 3];
        if (right) sum += at[c + 3];
        if (up) sum += at[c - std::ptrdiff_t(line)];
        if (down) sum += at[c + std::ptrdiff_t(line)];
        at[c] += over * (sum * share - at[c]);
      }
    }
  }
}

}  // namespace

Picture to_picture(const Image& image) {
  Picture out(image.width, image.height);
  std::transform(image.rgb.begin(), image.rgb.end(), out.rgb.begin(), [](uint8_t v) { return float(v) / 255.0f; });
  return out;
}

Image to_image(const Picture& picture) {
  Image out(picture.width, picture.height);
  std::transform(picture.rgb.begin(), picture.rgb.end(), out.rgb.begin(),
                 [](float v) { return uint8_t(std::lround(std::clamp(v, 0.0f, 1.0f) * 255.0f)); });
  return out;
}

Picture gaussian_blur(const Picture& picture, double sigma) {
  if (sigma <= 0) return picture;
  const int reach = std::max(1, int(std::ceil(3 * sigma)));
  std::vector<float> taps(size_t(reach) + 1);
  double sum = 0;
  for (int k = -reach; k <= reach; ++k) sum += std::exp(-k * k / (2 * sigma * sigma));
  for (int k = 0; k <= reach; ++k) taps[size_t(k)] = float(std::exp(-k * k / (2 * sigma * sigma)) / sum);
  Picture across(picture.width, picture.height), out(picture.width, picture.height);
  const size_t line = size_t(picture.width) * 3;
  std::vector<float> padded(line + 6 * size_t(reach));
  for (int y = 0; y < picture.height; ++y) {
    for (int x = -reach; x < picture.width + reach; ++x)
      std::copy_n(picture.at(std::clamp(x, 0, picture.width - 1), y), 3, padded.data() + 3 * (x + reach));
    float* to = across.at(0, y);
    for (int k = -reach; k <= reach; ++k) {
      const float w = taps[size_t(std::abs(k))];
      const float* from = padded.data() + 3 * (k + reach);
      for (size_t i = 0; i < line; ++i) to[i] += w * from[i];
    }
  }
  for (int y = 0; y < picture.height; ++y) {
    float* to = out.at(0, y);
    for (int k = -reach; k <= reach; ++k) {
      const float w = taps[size_t(std::abs(k))];
      const float* from = across.at(0, std::clamp(y + k, 0, picture.height - 1));
      for (size_t i = 0; i < line; ++i) to[i] += w * from[i];
    }
  }
  return out;
}

std::vector<float> depth_in_hole(const Grey& mask) {
  const size_t w = size_t(mask.width), h = size_t(mask.height), longest = std::max(w, h);
  std::vector<float> squared(w * h), line, out(longest), from(longest + 1);
  std::vector<int> where(longest + 1);
  std::transform(mask.pixels.begin(), mask.pixels.end(), squared.begin(),
                 [](uint8_t v) { return v >= 128 ? kNone : 0.0f; });
  for (size_t x = 0; x < w; ++x) {
    line.resize(h);
    for (size_t y = 0; y < h; ++y) line[y] = squared[y * w + x];
    transform_line(line, out, where, from);
    for (size_t y = 0; y < h; ++y) squared[y * w + x] = std::min(out[y], kNone);
  }
  for (size_t y = 0; y < h; ++y) {
    line.assign(squared.begin() + std::ptrdiff_t(y * w), squared.begin() + std::ptrdiff_t((y + 1) * w));
    transform_line(line, out, where, from);
    for (size_t x = 0; x < w; ++x) squared[y * w + x] = std::sqrt(std::min(out[x], kNone));
  }
  return squared;
}

void fill_harmonic(Picture& picture, const Grey& mask) {
  std::vector<int> hole;
  for (size_t i = 0; i < mask.pixels.size(); ++i)
    if (mask.pixels[i] >= 128) hole.push_back(int(i));
  if (hole.empty()) return;
  if (hole.size() == mask.pixels.size()) {
    std::fill(picture.rgb.begin(), picture.rgb.end(), 0.5f);
    return;
  }
  Picture coarse;
  Grey coarse_mask;
  halve(picture, mask, coarse, coarse_mask);
  fill_harmonic(coarse, coarse_mask);  // ends: below some size nothing is hole
  for (const int i : hole) {
    // Between the four coarse pixels around it.
    const int x = i % picture.width, y = i / picture.width;
    const int u = x / 2, v = y / 2;
    const int u2 = std::clamp(x % 2 ? u + 1 : u - 1, 0, coarse.width - 1),
              v2 = std::clamp(y % 2 ? v + 1 : v - 1, 0, coarse.height - 1);
    const float *a = coarse.at(u, v), *b = coarse.at(u2, v), *c = coarse.at(u, v2), *d = coarse.at(u2, v2);
    for (int k = 0; k < 3; ++k) picture.at(x, y)[k] = .5625f * a[k] + .1875f * (b[k] + c[k]) + .0625f * d[k];
  }
  constexpr int kSweeps = 12;
  relax(picture, hole, kSweeps);
}

}  // namespace telltale
