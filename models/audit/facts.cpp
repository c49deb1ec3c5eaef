#include "models/audit/facts.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <numbers>

#include "base/check.h"
#include "data/jpeg.h"
#include "data/luma.h"
#include "data/picture_size.h"
#include "data/png.h"

namespace telltale {
namespace {

constexpr int kBlock = 8;

class FactList {
 public:
  void add(const std::string& name, double value) {
    facts_.names.push_back(name);
    facts_.values.push_back(value);
  }
  Facts take() { return std::move(facts_); }

 private:
  Facts facts_;
};

/// A JPEG's segments up to its first scan.
struct JpegFacts {
  std::array<std::array<double, 64>, 4> tables{};
  std::array<double, 4>
      sampling{};  ///< of the first two components, each 16 · across + down, by place; then their count
  std::map<int, double> segments;  ///< how many there are, by marker
  double progressive = 0;
};

JpegFacts jpeg_facts(std::span<const uint8_t> bytes) {
  JpegFacts f;
  const auto byte = [&](size_t at) { return at < bytes.size() ? int(bytes[at]) : 0; };
  for (size_t at = 2; at + 4 <= bytes.size() && byte(at) == 0xff;) {
    const int marker = byte(at + 1);
    const size_t length = size_t(byte(at + 2)) * 256 + size_t(byte(at + 3)), end = at + 2 + length;
    ++f.segments[marker];
    if (marker == 0xdb)  // quantisation tables, of 8 or 16 bits
      for (size_t table = at + 4; table < end;) {
        const int wide = byte(table) >> 4, id = byte(table) & 3;
        for (size_t i = 0; i < 64; ++i)
          f.tables[size_t(id)][i] =
              wide ? byte(table + 1 + 2 * i) * 256 + byte(table + 2 + 2 * i) : byte(table + 1 + i);
        table += wide ? 129 : 65;
      }
    if (marker == 0xc0 || marker == 0xc1 || marker == 0xc2) {
      f.progressive = marker == 0xc2;
      f.sampling[3] = byte(at + 9);
      for (size_t c = 0; c < 3 && int(c) < byte(at + 9); ++c) f.sampling[c] = byte(at + 11 + 3 * c);
    }
    if (marker == 0xda) break;
    at = end;
  }
  return f;
}

/// Brightness, and where it may be looked at.
class Outside {
 public:
  Outside(const Image& image, const Grey& mask) : width_(image.width), height_(image.height) {
    TT_CHECK(image.width == mask.width && image.height == mask.height, ShapeError, "an image of ", image.width, "x",
             image.height, " with a mask of ", mask.width, "x", mask.height);
    luma_.reserve(size_t(width_) * size_t(height_));
    for (size_t i = 0; i < image.rgb.size(); i += 3) luma_.push_back(telltale::luma(&image.rgb[i]));
    painted_.assign(size_t(width_ + 1) * size_t(height_ + 1), 0);
    for (int y = 0; y < height_; ++y)
      for (int x = 0; x < width_; ++x)
        sum(x + 1, y + 1) =
            sum(x, y + 1) + sum(x + 1, y) - sum(x, y) + (mask.pixels[size_t(y) * size_t(width_) + size_t(x)] >= 128);
  }
  int width() const { return width_; }
  int height() const { return height_; }
  float luma(int x, int y) const { return luma_[size_t(y) * size_t(width_) + size_t(x)]; }
  /// Whether nothing is painted within the margin of a box.
  bool clear(const Box& b) {
    const Box wide =
        intersect({b.x_min - kAuditMargin, b.y_min - kAuditMargin, b.x_max + kAuditMargin, b.y_max + kAuditMargin},
                  {0, 0, width_, height_});
    return sum(wide.x_max, wide.y_max) - sum(wide.x_min, wide.y_max) - sum(wide.x_max, wide.y_min) +
               sum(wide.x_min, wide.y_min) ==
           0;
  }

 private:
  int& sum(int x, int y) { return painted_[size_t(y) * size_t(width_ + 1) + size_t(x)]; }
  int width_, height_;
  std::vector<float> luma_;
  std::vector<int> painted_;  ///< pixels above and to the left
};

/// cosine[u][x]: the orthonormal transform of eight values.
std::array<std::array<double, kBlock>, kBlock> make_cosines() {
  std::array<std::array<double, kBlock>, kBlock> cosine{};
  for (int u = 0; u < kBlock; ++u)
    for (int x = 0; x < kBlock; ++x)
      cosine[size_t(u)][size_t(x)] =
          std::sqrt((u == 0 ? 1. : 2.) / kBlock) * std::cos((2 * x + 1) * u * std::numbers::pi / (2 * kBlock));
  return cosine;
}

/// The two-dimensional transform of a block, c[v][u].
std::array<std::array<double, kBlock>, kBlock> transformed(const Outside& picture, int x0, int y0) {
  static const auto cosine = make_cosines();
  std::array<std::array<double, kBlock>, kBlock> rows{}, all{};
  for (size_t y = 0; y < kBlock; ++y)
    for (size_t u = 0; u < kBlock; ++u)
      for (size_t x = 0; x < kBlock; ++x) rows[y][u] += cosine[u][x] * double(picture.luma(x0 + int(x), y0 + int(y)));
  for (size_t v = 0; v < kBlock; ++v)
    for (size_t u = 0; u < kBlock; ++u)
      for (size_t y = 0; y < kBlock; ++y) all[v][u] += cosine[v][y] * rows[y][u];
  return all;
}

}  // namespace

Facts file_facts(std::span<const uint8_t> bytes, const std::string& name) {
  FactList list;
  const PictureSize size = picture_size(bytes, name);
  list.add("width", double(size.width));
  list.add("height", double(size.height));
  list.add("is a JPEG", is_jpeg(bytes));
  list.add("is a PNG", is_png(bytes));
  const JpegFacts f = is_jpeg(bytes) ? jpeg_facts(bytes) : JpegFacts{};
  list.add("progressive", f.progressive);
  for (size_t i = 0; i < f.sampling.size(); ++i) list.add(cat("sampling ", i), f.sampling[i]);
  for (int marker = 0xc0; marker <= 0xfe; ++marker) {
    const auto found = f.segments.find(marker);
    list.add(cat("segments of kind ", marker), found == f.segments.end() ? 0 : found->second);
  }
  for (size_t t = 0; t < f.tables.size(); ++t)
    for (size_t i = 0; i < 64; ++i) list.add(cat("quantisation table ", t, ", ", i), f.tables[t][i]);
  return list.take();
}

Facts dct_facts(const Image& image, const Grey& mask) {
  Outside picture(image, mask);
  std::array<double, kBlock * kBlock> logs{}, zeros{};
  int64_t blocks = 0;
  for (int y = 0; y + kBlock <= picture.height(); y += kBlock)
    for (int x = 0; x + kBlock <= picture.width(); x += kBlock) {
      if (!picture.clear({x, y, x + kBlock, y + kBlock})) continue;
      ++blocks;
      const auto c = transformed(picture, x, y);
      for (size_t i = 0; i < logs.size(); ++i) {
        const double size = std::abs(c[i / kBlock][i % kBlock]);
        logs[i] += std::log1p(size);
        zeros[i] += size < .5;
      }
    }
  if (blocks == 0) return {};
  FactList list;
  for (size_t i = 1; i < logs.size(); ++i) {  // not the mean brightness
    const std::string frequency = cat("frequency ", i % kBlock, ",", i / kBlock);
    list.add("log size of " + frequency, logs[i] / double(blocks));
    list.add("zeros of " + frequency, zeros[i] / double(blocks));
  }
  return list.take();
}

Facts border_facts(const Image& image, const Grey& mask) {
  Outside picture(image, mask);
  constexpr std::array<double, 7> kBounds{.5, 1.5, 2.5, 4.5, 8.5, 16.5, 1e9};
  std::array<double, kBounds.size()> sizes{};
  std::array<double, kBlock> across{}, counts{};
  double all = 0;
  const auto look = [&](int x, int y, int dx, int dy) {
    if (x - dx < 0 || y - dy < 0 || x + dx >= picture.width() || y + dy >= picture.height()) return;
    if (!picture.clear({x, y, x + 1, y + 1})) return;
    const double here = picture.luma(x, y), next = picture.luma(x + dx, y + dy);
    const double second = std::abs(2 * here - next - picture.luma(x - dx, y - dy));
    ++sizes[size_t(std::upper_bound(kBounds.begin(), kBounds.end() - 1, second) - kBounds.begin())];
    ++all;
    const auto place = size_t((dx ? x : y) % kBlock);
    across[place] += std::abs(next - here);
    ++counts[place];
  };
  const int width = picture.width(), height = picture.height(), strip = std::min({kBlock, width, height});
  for (int x = 0; x < width; ++x)
    for (int i = 0; i < strip; ++i)
      for (const int y : {i, height - 1 - i}) look(x, y, 1, 0);
  for (int y = 0; y < height; ++y)
    for (int i = 0; i < strip; ++i)
      for (const int x : {i, width - 1 - i}) look(x, y, 0, 1);
  if (all == 0) return {};
  FactList list;
  for (size_t i = 0; i < sizes.size(); ++i) list.add(cat("second differences, size ", i), sizes[i] / all);
  for (size_t i = 0; i < across.size(); ++i) {
    const double mean = counts[i] > 0 ? across[i] / counts[i] : 0;
    list.add(cat("difference at place ", i), std::log1p(mean));
  }
  return list.take();
}

}  // namespace telltale
