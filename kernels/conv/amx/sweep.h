#pragma once
// Sums over a source's pixels: what a convolution and its gradient for x both are.
#include <vector>

#include "kernels/conv/amx/tiles.h"
#include "kernels/device/tensor.h"
#include "kernels/parts/math.h"

namespace telltale::amx {

constexpr int round_up(int n, int to) { return (n + to - 1) / to * to; }
constexpr size_t aligned(size_t bytes) { return (bytes + 63) / 64 * 64; }

/// Those that choose_loops() chose.
const Loops& loops();

/// result(row, column) = act(Σ over taps of source(row·stride + r·dilation − top, …) · filter(r, s) + bias + residual),
/// zero beyond the source.
struct Sweep {
  const Bits* source = nullptr;
  Shape from;  ///< the source's
  int rows = 1, columns = 1, stride = 1, dilation = 1;
  int top = 0, left = 0;  ///< may be negative
  int out_h = 0, out_w = 0, channels = 0;
  Bits* result = nullptr;  ///< of the first image's first pixel; numbers to the next image, row and pixel:
  int64_t image_step = 0, row_step = 0, pixel_step = 0;
  const Bits* residual = nullptr;  ///< laid out as the result
  const float* bias = nullptr;     ///< {channels}
  Act act = Act::none;
  /// The filter's second half of channels are gates of the first, each a multiple of 16: of both comes a result of half
  /// the channels, elu(value) · sigmoid(gate), without a residual.
  bool gated = false;

  /// Numbers of the source that a filter multiplies without a gap, and how many such runs there are.
  bool joins_columns() const { return dilation == 1 || columns == 1; }
  int run_length() const { return joins_columns() ? columns * from.c : from.c; }
  int run_count() const { return joins_columns() ? rows : rows * columns; }
  int run_steps() const { return (run_length() + kDepth - 1) / kDepth; }
  int blocks() const { return (channels + kBlock - 1) / kBlock; }
  /// Where a block's filter lies in what pack_filter made. A gated block has the values and the gates of 16 results.
  Filter filter_of(const Bits* packed, int block) const {
    const auto tile = [&](int t) { return packed + size_t(t / 2) * block_numbers() + size_t(t % 2) * kTile; };
    if (gated) return {tile(block), tile(block + blocks()), 2 * kTile};
    return {tile(2 * block), channel_tiles(block) == 2 ? tile(2 * block + 1) : nullptr, channel_tiles(block) * kTile};
  }
  /// Tiles of a block's channels: two, but for a last one of at most 16.
  int channel_tiles(int block) const { return channels - block * kBlock > kLanes ? 2 : 1; }
  size_t block_numbers() const { return size_t(run_count()) * size_t(run_steps()) * 2 * kTile; }
  size_t filter_bytes() const { return size_t(blocks()) * block_numbers() * sizeof(Bits); }
};

/// Bytes of scratch that run() wants.
size_t scratch_bytes(const Sweep&, int threads);
/// Computes it. `filter`: filter_bytes() as pack_filter lays them out.
void run(const Sweep&, const Loops&, const Bits* filter, char* scratch, int threads);

/// Where the filter of a sweep lies in one that is {K,R,S,C} in memory.
struct FilterSource {
  const Bits* w = nullptr;
  Shape shape;          ///< {K,R,S,C}
  bool turned = false;  ///< in and out are swapped, and tap (r, s) is (first_row + (rows − 1 − r)·step, …)
  int first_row = 0, first_column = 0, step = 1;
};
/// Lays a filter out as multiply() wants it: by block, run and step.
void pack_filter(const Sweep&, const Loops&, const FilterSource&, Bits* to, int threads);

}  // namespace telltale::amx
