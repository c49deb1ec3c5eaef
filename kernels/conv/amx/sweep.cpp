#include "kernels/conv/amx/sweep.h"

#include <omp.h>

#include <algorithm>
#include <cstring>

#include "kernels/device/half.h"

namespace telltale::amx {
namespace {

/// Bytes of a source that a thread works on at once: a part of its second cache. Every band reads the whole filter, so
/// that a large one wants few bands.
size_t band_bytes(const Sweep& s) { return s.filter_bytes() > (512 << 10) ? 1 << 20 : 256 << 10; }

/// Images [image, image + images) and result rows [row, row + rows), computed together. Of a source that needs no copy:
/// its pixels [row, row + rows), whatever images they belong to.
struct Band {
  int image, images, row, rows;
};

/// How a band's source lies in scratch: planes of the rows that a stride apart, in each the images' rows side by side.
/// A row is followed by the zeros that the next one begins with.
struct Layout {
  int step;        ///< pixels of a plane from one result to the next: the stride, undone where a filter has one column
  int width;       ///< pixels of an image's row in a plane
  int planes;      ///< rows 0, 1, … of a stride
  int64_t pitch;   ///< numbers from a plane's row to the next
  int plane_rows;  ///< of the band
  int64_t plane_size;
  int64_t slack;  ///< numbers that are read beyond the last plane

  Layout(const Sweep& s, int images, int rows) {
    step = s.columns == 1 ? 1 : s.stride;
    const int left = std::max(0, s.left), reach = (s.out_w - 1) * step + (s.columns - 1) * s.dilation + 1;
    const int real = s.columns == 1 ? reach : std::min(reach, s.left + s.from.w);
    width = round_up(std::max({s.out_w * step, real, reach - left, 1}), step);
    planes = std::min(s.stride, (s.rows - 1) * s.dilation + 1);
    pitch = int64_t(images) * width * s.from.c;
    plane_rows = rows + (s.rows - 1) * s.dilation / s.stride;
    plane_size = pitch * plane_rows;
    slack = int64_t(kBlock * step + (s.columns - 1) * s.dilation + 1) * s.from.c + kDepth;
  }
  size_t bytes() const { return aligned(size_t(plane_size * planes + slack) * sizeof(Bits)); }
  int results_in_row(const Band& b) const { return b.images * (width / step); }
};

/// Whether pixels lie in memory as tiles want them.
bool is_flat(const Sweep& s) {
  return s.rows == 1 && s.columns == 1 && s.stride == 1 && s.top == 0 && s.left == 0 && s.out_h == s.from.h &&
         s.out_w == s.from.w && s.from.c % kDepth == 0 && s.row_step == s.out_w * s.pixel_step &&
         s.image_step == s.out_h * s.row_step;
}

/// n in as many equal parts as `most` allows, a multiple of `threads` where there are more than one.
int part_of(int n, int most, int threads) {
  int parts = (n + most - 1) / most;
  parts = std::min(n, round_up(parts, threads));
  return (n + parts - 1) / parts;
}

std::vector<Band> bands_of(const Sweep& s, int threads) {
  std::vector<Band> bands;
  if (is_flat(s)) {
    const int pixels = s.from.n * s.from.h * s.from.w, blocks = (pixels + kBlock - 1) / kBlock;
    const int most = std::max(1, int(band_bytes(s) / (size_t(s.from.c) * kBlock * sizeof(Bits))));
    const int part = part_of(blocks, most, threads) * kBlock;
    for (int first = 0; first < pixels; first += part) bands.push_back({0, 1, first, std::min(part, pixels - first)});
    return bands;
  }
  const size_t image = Layout(s, 1, s.out_h).bytes();
  const int at_once = std::max(1, int(band_bytes(s) / image)), images = part_of(s.from.n, at_once, threads);
  int rows = s.out_h;
  if (images == 1) {
    const int parts = int(image / band_bytes(s)) + 1, helpers = (threads + s.from.n - 1) / s.from.n;
    rows = part_of(s.out_h, (s.out_h + parts - 1) / parts, helpers);
  }
  for (int image = 0; image < s.from.n; image += images) {
    for (int row = 0; row < s.out_h; row += rows)
      bands.push_back({image, std::min(images, s.from.n - image), row, std::min(rows, s.out_h - row)});
  }
  return bands;
}

void copy_row(const Sweep& s, const Layout& l, const Bits* row, Bits* to) {
  const int c = s.from.c, apart = s.columns == 1 ? s.stride : 1;
  const int first = std::clamp((s.left + apart - 1) / apart, 0, l.width);
  const int last = std::clamp((s.from.w - 1 + s.left) / apart + 1, first, l.width);
  std::fill(to, to + int64_t(first) * c, Bits(0));
  const Bits* at = row + (int64_t(first) * apart - s.left) * c;
  if (apart == 1) {
    memcpy(to + int64_t(first) * c, at, size_t(last - first) * size_t(c) * sizeof(Bits));
  } else {
    for (int v = first; v < last; ++v, at += int64_t(apart) * c)
      memcpy(to + int64_t(v) * c, at, size_t(c) * sizeof(Bits));
  }
  std::fill(to + int64_t(last) * c, to + int64_t(l.width) * c, Bits(0));
}

void copy_band(const Sweep& s, const Layout& l, const Band& b, Bits* to) {
  const int64_t row_numbers = int64_t(s.from.w) * s.from.c, wide = int64_t(l.width) * s.from.c;
  for (int plane = 0; plane < l.planes; ++plane) {
    for (int j = 0; j < l.plane_rows; ++j) {
      const int row = (b.row + j) * s.stride + plane - s.top;
      for (int i = 0; i < b.images; ++i, to += wide) {
        if (row < 0 || row >= s.from.h)
          std::fill(to, to + wide, Bits(0));
        else
          copy_row(s, l, s.source + (int64_t(b.image + i) * s.from.h + row) * row_numbers, to);
      }
    }
  }
  std::fill(to, to + l.slack, Bits(0));
}

std::vector<Run> runs_of(const Sweep& s, const Layout& l) {
  std::vector<Run> runs;
  for (int r = 0; r < s.rows; ++r) {
    const int row = r * s.dilation;
    const int64_t at = row % s.stride * l.plane_size + row / s.stride * l.pitch;
    for (int v = 0; v < (s.joins_columns() ? 1 : s.columns); ++v)
      runs.push_back({at + int64_t(v) * s.dilation * s.from.c, s.run_steps()});
  }
  return runs;
}

/// sums = act(sums + bias + residual), for what is stored as it is from then on.
template <Act act>
void activate_sums(float* sums, int pixels, int channels, const Finish& f, int64_t pixel_step) {
  for (int p = 0; p < pixels; ++p) {
    float* v = sums + p * kBlock;
    for (int c = 0; f.bias && c < kBlock; ++c) v[c] += f.bias[c];
    for (int c = 0; f.residual && c < channels; ++c) v[c] += float_of(uint32_t(f.residual[p * pixel_step + c]) << 16);
    for (int first = 0; first < channels; first += kLanes) {
#pragma omp simd
      for (int c = 0; c < kLanes; ++c) v[first + c] = activate(act, v[first + c]);
    }
  }
}

/// One thread's work on a sweep.
class Worker {
 public:
  Worker(const Sweep& s, const Loops& loops, const Bits* filter, Bits* scratch)
      : s_(s), loops_(loops), filter_(filter), scratch_(scratch) {
    loops_.begin();
  }
  ~Worker() { loops_.end(); }
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  /// Channel blocks [first, last) of a band.
  void compute(const Band& b, int first, int last) {
    if (is_flat(s_)) return compute_flat(b, first, last);
    const Layout l(s_, b.images, b.rows);
    if (b.image != held_.image || b.row != held_.row) {
      copy_band(s_, l, b, scratch_);
      held_ = b;
    }
    const std::vector<Run> runs = runs_of(s_, l);
    const int in_row = l.results_in_row(b), count = in_row * b.rows;
    for (int block = first; block < last; ++block) {
      load_bias(block);
      for (int q = 0; q < count; q += kBlock) {
        multiply(scratch_ + int64_t(q) * l.step * s_.from.c, l.step * s_.from.c, runs, block, count - q);
        store_spans(b, l, in_row, q, std::min(count, q + kBlock), block);
      }
    }
  }

 private:
  void compute_flat(const Band& b, int first, int last) {
    const std::vector<Run> runs{{0, s_.run_steps()}};
    const int c = s_.from.c;
    for (int block = first; block < last; ++block) {
      load_bias(block);
      for (int q = 0; q < b.rows; q += kBlock) {
        const int64_t pixel = int64_t(b.row) + q;
        const int count = std::min(kBlock, b.rows - q);
        const Bits* x = s_.source + pixel * c;
        if (count % kLanes != 0) {  // not a number beyond the tensor is read
          memcpy(scratch_, x, size_t(count) * size_t(c) * sizeof(Bits));
          std::fill(scratch_ + count * c, scratch_ + kBlock * c, Bits(0));
          x = scratch_;
        }
        multiply(x, c, runs, block, count);
        store(sums_, count, block, pixel * s_.pixel_step);
      }
    }
  }
  void load_bias(int block) {
    std::fill(bias_, bias_ + kBlock, 0.f);
    if (!s_.bias) return;
    if (s_.gated) {
      std::copy_n(s_.bias + block * kLanes, kLanes, bias_);
      std::copy_n(s_.bias + s_.channels / 2 + block * kLanes, kLanes, bias_ + kLanes);
    } else {
      std::copy_n(s_.bias + block * kBlock, std::min(kBlock, s_.channels - block * kBlock), bias_);
    }
  }
  void multiply(const Bits* x, int64_t pixel_step, const std::vector<Run>& runs, int block, int count) {
    loops_.multiply(x, pixel_step, runs.data(), int(runs.size()), s_.filter_of(filter_, block), count > kLanes ? 2 : 1,
                    sums_);
  }
  /// Stores results [q, end) of a band, those between its images' rows left out.
  void store_spans(const Band& b, const Layout& l, int in_row, int q, int end, int block) {
    const int across = l.width / l.step;
    for (int from = q; from < end;) {
      const int row = from / in_row, image = from % in_row / across, column = from % across;
      const int next = std::min(end, from - column + across), count = std::min(next - from, s_.out_w - column);
      if (count > 0)
        store(sums_ + (from - q) * kBlock, count, block,
              (b.image + image) * s_.image_step + (b.row + row) * s_.row_step + column * s_.pixel_step);
      from = next;
    }
  }
  void store(float* sums, int pixels, int block, int64_t at) const {
    if (s_.gated) {
      loops_.gate(sums, pixels, bias_);
      return loops_.finish(sums, pixels, kLanes, {}, s_.pixel_step, s_.result + at + block * kLanes);
    }
    at += block * kBlock;
    const int channels = std::min(kBlock, s_.channels - block * kBlock);
    const Finish f{s_.bias ? bias_ : nullptr, s_.residual ? s_.residual + at : nullptr, s_.act == Act::relu};
    const auto activation = s_.act == Act::elu       ? activate_sums<Act::elu>
                            : s_.act == Act::sigmoid ? activate_sums<Act::sigmoid>
                            : s_.act == Act::tanh    ? activate_sums<Act::tanh>
                                                     : nullptr;
    if (activation) activation(sums, pixels, channels, f, s_.pixel_step);
    loops_.finish(sums, pixels, channels, activation ? Finish{} : f, s_.pixel_step, s_.result + at);
  }

  const Sweep& s_;
  const Loops& loops_;
  const Bits* filter_;
  Bits* scratch_;
  Band held_{-1, 0, -1, 0};
  alignas(64) float sums_[kBlockSums];
  alignas(64) float bias_[kBlock];
};

size_t thread_bytes(const Sweep& s, const std::vector<Band>& bands) {
  if (is_flat(s)) return aligned(size_t(kBlock) * size_t(s.from.c) * sizeof(Bits));
  return Layout(s, bands.front().images, bands.front().rows).bytes();
}

/// A tile's rows, for channels from `channel` on, of numbers [first, first + kDepth) of a run.
class Packer {
 public:
  Packer(const Sweep& s, const Loops& loops, const FilterSource& from) : s_(s), loops_(loops), from_(from) {}

  void tile(int channel, int run, int step, Bits* to) const {
    const int r = s_.joins_columns() ? run : run / s_.columns, v = s_.joins_columns() ? 0 : run % s_.columns;
    const int first = step * kDepth, count = std::min(kDepth, s_.run_length() - first);
    const int real = std::min(kLanes, s_.channels - channel);
    if (real < kLanes || count < kDepth) std::fill(to, to + kTile, Bits(0));
    if (from_.turned) return turned_tile(channel, r, v, first, count, real, to);
    const Shape& w = from_.shape;
    const int64_t filter = int64_t(w.h) * w.w * w.c;
    const Bits* at = from_.w + channel * filter + (int64_t(r) * w.w + v) * w.c + first;
    if (real == kLanes && count == kDepth) return loops_.transpose_pairs(at, filter, to, kDepth);
    for (int k = 0; k < real; ++k) {
      for (int i = 0; i < count; ++i) to[i / 2 * kDepth + 2 * k + i % 2] = at[k * filter + i];
    }
  }

 private:
  /// Channels of the tile are the filter's own inputs; what is summed over, its outputs.
  void turned_tile(int channel, int r, int v, int first, int count, int real, Bits* to) const {
    const Shape& w = from_.shape;
    const int64_t filter = int64_t(w.h) * w.w * w.c;
    const int row = from_.first_row + (s_.rows - 1 - r) * from_.step;
    const auto at = [&](int i) {  // number i of the run
      const int column = from_.first_column + (s_.columns - 1 - v - i / w.n) * from_.step;
      return from_.w + (i % w.n) * filter + (int64_t(row) * w.w + column) * w.c + channel;
    };
    static constexpr Bits kZeros[kLanes] = {};
    for (int i = 0; i < count; i += 2)
      loops_.pair_rows(at(first + i), i + 1 < count ? at(first + i + 1) : kZeros, real, to + i / 2 * kDepth, 0);
  }

  const Sweep& s_;
  const Loops& loops_;
  const FilterSource& from_;
};

}  // namespace

size_t scratch_bytes(const Sweep& s, int threads) { return thread_bytes(s, bands_of(s, threads)) * size_t(threads); }

void run(const Sweep& s, const Loops& loops, const Bits* filter, char* scratch, int threads) {
  const std::vector<Band> bands = bands_of(s, threads);
  const int count = int(bands.size()), blocks = s.blocks();
  // Few bands: threads share out their channels as well.
  const int groups = std::min(blocks, count >= threads ? 1 : (threads + count - 1) / count);
  const size_t bytes = thread_bytes(s, bands);
#pragma omp parallel num_threads(threads)
  {
    Worker worker(s, loops, filter, reinterpret_cast<Bits*>(scratch + bytes * size_t(omp_get_thread_num())));
#pragma omp for schedule(dynamic)
    for (int task = 0; task < count * groups; ++task) {
      const int group = task % groups;
      worker.compute(bands[size_t(task / groups)], blocks * group / groups, blocks * (group + 1) / groups);
    }
  }
}

void pack_filter(const Sweep& s, const Loops& loops, const FilterSource& from, Bits* to, int threads) {
  const Packer packer(s, loops, from);
  const int runs = s.run_count(), steps = s.run_steps();
#pragma omp parallel for collapse(2) num_threads(threads) if (s.filter_bytes() > (1 << 16))
  for (int block = 0; block < s.blocks(); ++block) {
    for (int run = 0; run < runs; ++run) {
      const int tiles = s.channel_tiles(block);
      Bits* at = to + size_t(block) * s.block_numbers() + size_t(run) * size_t(steps) * size_t(tiles) * kTile;
      for (int step = 0; step < steps; ++step) {
        for (int t = 0; t < tiles; ++t, at += kTile) packer.tile(block * kBlock + t * kLanes, run, step, at);
      }
    }
  }
}

}  // namespace telltale::amx
