// dw as products of dy, turned so that a channel's pixels lie side by side, with x, whose pixels lie in pairs. A tap is
// a distance between the two. Bands of the batch are laid out by all threads together, which then share out the
// filter's parts: sums go by bands and pixels in order, however many threads there are.
#include <omp.h>

#include <algorithm>
#include <cstring>

#include "kernels/conv/amx/convolution.h"
#include "kernels/conv/amx/sweep.h"

namespace telltale::amx {
namespace {

constexpr size_t kBandBytes = 1 << 20;  // of dy and x as they are laid out: they should stay in a second cache
constexpr int kFewChannels = 16;        // of x: the columns of a filter then count as channels, copied for each pixel

struct Problem {
  Shape x, w, y;
  ConvGeometry g;
  bool joined;  ///< a pixel of x stands for the filter's whole row of columns
  explicit Problem(const ConvGradArgs& a) : x(a.x.shape), w(a.w.shape), y(a.dy.shape), g(a.geometry) {
    joined = x.c < kFewChannels && g.dilation == 1;
  }
  int channels() const { return joined ? w.w * x.c : x.c; }
  int columns() const { return joined ? 1 : w.w; }
  int taps() const { return w.h * columns(); }
  /// Blocks of 32 channels.
  int blocks_of_dy() const { return (y.c + kBlock - 1) / kBlock; }
  int blocks_of_x() const { return (channels() + kBlock - 1) / kBlock; }
  size_t sums() const { return size_t(blocks_of_dy()) * size_t(taps()) * size_t(blocks_of_x()) * kBlockSums; }
  /// Rows and columns of x come apart into planes, by their place within a stride.
  int row_planes() const { return std::min(g.stride, (w.h - 1) * g.dilation + 1); }
  int column_planes() const { return std::min(g.stride, (columns() - 1) * g.dilation + 1); }
};

/// How images [image, image + images), rows [row, row + rows) of dy, are laid out with what they read of x.
struct Band {
  int image = 0, images = 0, row = 0, rows = 0;
  int width = 0;      ///< pixels of an image's row, in dy and in a plane of x: some zeros of dy behind the real ones
  int pitch = 0;      ///< from a row to the next: the images' rows side by side
  int pixels = 0;     ///< of dy, rows · pitch
  int dy_pixels = 0;  ///< in memory, with kDepth zeros before them and some behind
  int plane_rows = 0, plane_pixels = 0;  ///< of x
  int64_t plane_size = 0;

  Band(const Problem& p, int image, int images, int row, int rows)
      : image(image), images(images), row(row), rows(rows) {
    const int reach = (p.columns() - 1) * p.g.dilation / p.g.stride;
    width = p.y.w + std::max(0, reach - p.g.pad / p.g.stride);
    pitch = images * width;
    pixels = rows * pitch;
    dy_pixels = kDepth + round_up(pixels, kDepth) + kDepth;
    if (dy_pixels % (2 * kDepth) == 0) dy_pixels += kDepth;  // rows of a tile in different places of the cache
    plane_rows = rows + (p.w.h - 1) * p.g.dilation / p.g.stride;
    plane_pixels = round_up(plane_rows * pitch + reach + 2 * kDepth, kDepth);
    plane_size = int64_t(p.blocks_of_x()) * kBlock * plane_pixels;
  }
  size_t dy_numbers(const Problem& p) const { return size_t(p.blocks_of_dy()) * kBlock * size_t(dy_pixels); }
  size_t x_numbers(const Problem& p) const {
    return size_t(plane_size) * size_t(p.row_planes()) * size_t(p.column_planes());
  }
  size_t bytes(const Problem& p) const {
    return aligned(dy_numbers(p) * sizeof(Bits)) + aligned(x_numbers(p) * sizeof(Bits));
  }
};

std::vector<Band> bands_of(const Problem& p) {
  const size_t whole = Band(p, 0, 1, 0, p.y.h).bytes(p);
  const int images = std::clamp(int(kBandBytes / whole), 1, p.y.n);
  const int parts = std::clamp(int((whole + kBandBytes - 1) / kBandBytes), 1, p.y.h),
            rows = (p.y.h + parts - 1) / parts;
  std::vector<Band> bands;
  for (int image = 0; image < p.y.n; image += images) {
    for (int row = 0; row < p.y.h; row += rows)
      bands.emplace_back(p, image, std::min(images, p.y.n - image), row, std::min(rows, p.y.h - row));
  }
  return bands;
}

/// The pixel of a band's plane that a running number stands for.
struct Place {
  int row, image, column;
  Place(const Band& b, int pixel) : row(pixel / b.pitch), image(pixel % b.pitch / b.width), column(pixel % b.width) {}
  void next(const Band& b) {
    if (++column < b.width) return;
    column = 0;
    if (++image < b.images) return;
    image = 0;
    ++row;
  }
};

class Gradient {
 public:
  Gradient(const ConvGradArgs& a, const Problem& p, const Loops& loops)
      : p_(p), loops_(loops), x_(a.x.as<Bits>()), dy_(a.dy.as<Bits>()), zeros_(size_t(std::max(p.channels(), p.y.c))) {}

  /// Tiles of pixels of dy to lay out: each thread takes some.
  static int dy_parts(const Band& b) { return b.dy_pixels / kDepth; }
  void lay_out_dy(const Band& b, int part, Bits* to) const {
    constexpr int kAtOnce = 128;  // channels
    alignas(64) Bits pairs[kAtOnce / kLanes][kTile];
    const int first = part * kDepth - kDepth, blocks = p_.blocks_of_dy() * 2;
    for (int channel = 0; channel < blocks * kLanes; channel += kAtOnce) {
      const int count = std::min(kAtOnce, blocks * kLanes - channel), real = std::clamp(p_.y.c - channel, 0, count);
      if (real < count) memset(pairs, 0, sizeof pairs);
      Place at(b, std::max(0, first));
      for (int i = 0; i < kDepth; i += 2) {
        const Bits* one = dy_pixel(b, first + i, at);
        const Bits* other = dy_pixel(b, first + i + 1, at);
        loops_.pair_rows(one + channel, other + channel, real, pairs[0] + i * kLanes, kTile);
      }
      for (int k = 0; k < count / kLanes; ++k)
        loops_.transpose_pairs(pairs[k], kDepth, to + int64_t(channel + k * kLanes) * b.dy_pixels + part * kDepth,
                               b.dy_pixels);
    }
  }

  int x_parts(const Band& b) const { return p_.row_planes() * p_.column_planes() * (b.plane_pixels / kDepth); }
  void lay_out_x(const Band& b, int part, Bits* to) const {
    const int parts = b.plane_pixels / kDepth, plane = part / parts, first = part % parts * kDepth;
    const int row_plane = plane / p_.column_planes(), column_plane = plane % p_.column_planes();
    const int channels = p_.channels(), block_step = kLanes * b.plane_pixels;
    Bits* at = to + plane * b.plane_size + int64_t(first) * kLanes;
    for (int block = (channels + kLanes - 1) / kLanes; block < p_.blocks_of_x() * 2; ++block)
      memset(at + int64_t(block) * block_step, 0, kTile * sizeof(Bits));
    std::vector<Bits> room(p_.joined ? size_t(2 * channels) : 0);
    Place place(b, first);
    for (int i = 0; i < kDepth; i += 2, at += 2 * kLanes) {
      const Bits* one = x_pixel(b, row_plane, column_plane, place, room.data());
      place.next(b);
      const Bits* other = x_pixel(b, row_plane, column_plane, place, room.data() + channels);
      place.next(b);
      loops_.pair_rows(one, other, channels, at, block_step);
    }
  }

  int filter_parts() const { return p_.blocks_of_dy() * p_.w.h * p_.blocks_of_x(); }
  /// A part of the filter: a block of channels of dy, a row of taps, a block of channels of x. Pixels go by pieces that
  /// the nearest cache holds while the row's taps pass over them.
  void add(const Band& b, int part, const Bits* dy, const Bits* x, bool first, float* sums) const {
    constexpr int kPiece = 16;  // steps
    const int x_block = part % p_.blocks_of_x(), r = part / p_.blocks_of_x() % p_.w.h,
              dy_block = part / p_.blocks_of_x() / p_.w.h;
    const int steps = (b.pixels + 1 + kDepth - 1) / kDepth, piece = p_.columns() > 1 ? kPiece : steps;
    const Bits* left = dy + int64_t(dy_block) * kBlock * b.dy_pixels + kDepth;
    for (int step = 0; step < steps; step += piece) {
      for (int v = 0; v < p_.columns(); ++v) {
        const int row = r * p_.g.dilation, column = v * p_.g.dilation;
        const int plane = row % p_.g.stride * p_.column_planes() + column % p_.g.stride;
        const int distance = row / p_.g.stride * b.pitch + column / p_.g.stride, odd = distance % 2;
        // Pairs of x begin at even pixels: dy is read from a pixel earlier where the distance is odd.
        const Bits* right = x + plane * b.plane_size + int64_t(x_block) * kBlock * b.plane_pixels +
                            int64_t(distance - odd + step * kDepth) * kLanes;
        loops_.add_products(left + step * kDepth - odd, b.dy_pixels, right, int64_t(kLanes) * b.plane_pixels,
                            std::min(piece, steps - step), first && step == 0,
                            sums + sums_at(dy_block, r * p_.columns() + v, x_block));
      }
    }
  }

  /// One output channel of the filter from its sums.
  void store(const float* sums, int k, bool accumulate, float* dw) const {
    const int channels = p_.channels();
    float* to = dw + int64_t(k) * p_.taps() * channels;
    for (int tap = 0; tap < p_.taps(); ++tap, to += channels) {
      for (int block = 0; block < p_.blocks_of_x(); ++block) {
        for (int half = 0; half < 2; ++half) {
          const int first = block * kBlock + half * kLanes, count = std::min(kLanes, channels - first);
          const float* from = sums + sums_at(k / kBlock, tap, block) +
                              (k % kBlock / kLanes * 2 + half) * kLanes * kLanes + k % kLanes * kLanes;
          for (int c = 0; c < count; ++c) to[first + c] = accumulate ? to[first + c] + from[c] : from[c];
        }
      }
    }
  }

 private:
  size_t sums_at(int dy_block, int tap, int x_block) const {
    return ((size_t(dy_block) * size_t(p_.taps()) + size_t(tap)) * size_t(p_.blocks_of_x()) + size_t(x_block)) *
           kBlockSums;
  }
  /// Pixel number q of dy, zeros where there is none; `at` goes along with the real ones.
  const Bits* dy_pixel(const Band& b, int q, Place& at) const {
    if (q < 0 || q >= b.pixels) return zeros_.data();
    const Place here = at;
    at.next(b);
    if (here.column >= p_.y.w) return zeros_.data();
    return dy_ + ((int64_t(b.image + here.image) * p_.y.h + b.row + here.row) * p_.y.w + here.column) * p_.y.c;
  }
  const Bits* x_pixel(const Band& b, int row_plane, int column_plane, const Place& at, Bits* room) const {
    const int row = (b.row + at.row) * p_.g.stride + row_plane - p_.g.pad;
    const int column = at.column * p_.g.stride + column_plane - p_.g.pad;
    if (row < 0 || row >= p_.x.h || at.row >= b.plane_rows) return zeros_.data();
    const Bits* line = x_ + ((int64_t(b.image + at.image) * p_.x.h + row) * p_.x.w) * p_.x.c;
    if (!p_.joined) return column < 0 || column >= p_.x.w ? zeros_.data() : line + int64_t(column) * p_.x.c;
    if (column >= 0 && column + p_.w.w <= p_.x.w) return line + column * p_.x.c;
    const int c = p_.x.c, first = std::clamp(-column, 0, p_.w.w), last = std::clamp(p_.x.w - column, first, p_.w.w);
    std::fill(room, room + first * c, Bits(0));
    std::copy(line + (column + first) * c, line + (column + last) * c, room + first * c);
    std::fill(room + last * c, room + p_.w.w * c, Bits(0));
    return room;
  }

  const Problem& p_;
  const Loops& loops_;
  const Bits *x_, *dy_;
  std::vector<Bits> zeros_;
};

}  // namespace

void filter_gradient(Stream& s, const ConvGradArgs& a) {
  const Problem p(a);
  const std::vector<Band> bands = bands_of(p);
  const size_t dy_bytes = aligned(bands.front().dy_numbers(p) * sizeof(Bits));
  char* room = s.workspace(p.sums() * sizeof(float) + bands.front().bytes(p)).as<char>();
  float* sums = reinterpret_cast<float*>(room);
  Bits* dy = reinterpret_cast<Bits*>(room + p.sums() * sizeof(float));
  Bits* x = reinterpret_cast<Bits*>(room + p.sums() * sizeof(float) + dy_bytes);
  const Gradient gradient(a, p, loops());
#pragma omp parallel num_threads(s.threads())
  {
    loops().begin();
    for (const Band& b : bands) {
      const int dy_parts = Gradient::dy_parts(b), x_parts = gradient.x_parts(b);
#pragma omp for schedule(dynamic, 4)
      for (int i = 0; i < dy_parts + x_parts; ++i) {
        if (i < dy_parts)
          gradient.lay_out_dy(b, i, dy);
        else
          gradient.lay_out_x(b, i - dy_parts, x);
      }
#pragma omp for schedule(dynamic)
      for (int part = 0; part < gradient.filter_parts(); ++part)
        gradient.add(b, part, dy, x, &b == &bands.front(), sums);
    }
    loops().end();
#pragma omp for
    for (int k = 0; k < p.y.c; ++k) gradient.store(sums, k, a.dw_mode == GradMode::accumulate, a.dw.as<float>());
  }
}

}  // namespace telltale::amx
