#pragma once
// The inner loops of convolutions that multiply bf16 by AMX, whose tiles are matrices of 16 rows by 64 bytes. Their
// file is compiled for that instruction set whatever the rest is compiled for, so nothing here may share inline
// functions with other files. The same functions exist in plain C++, for tests on processors without AMX.
#include <cstdint>

namespace telltale::amx {

constexpr int kLanes = 16;        ///< rows of a tile, and f32 numbers in one of its rows
constexpr int kDepth = 32;        ///< bf16 numbers in a tile's row: what one product sums over
constexpr int kBlock = 32;        ///< pixels, and result channels, of the block that one call computes: two tiles each
constexpr int kTile = 512;        ///< bf16 numbers in a tile
constexpr int kBlockSums = 1024;  ///< f32 numbers in a block
using Bits = uint16_t;            ///< of a bf16

/// Numbers of the source that lie side by side and are multiplied in turn: `steps` times kDepth of them, from `offset`
/// after a pixel's own first number.
struct Run {
  long offset;
  int steps;
};

/// The tiles of a block's filter.
struct Filter {
  const Bits *first, *second;
  long step;
};

/// What a block's sums become before they are stored; pointers name the first pixel and channel.
struct Finish {
  const float* bias = nullptr;     ///< kBlock numbers, or null
  const Bits* residual = nullptr;  ///< laid out as the result; may be the result, or null
  bool relu = false;
};

struct Loops {
  /// Before and after the calling thread's multiplications: AMX must be told what its tiles look like.
  void (*begin)();
  void (*end)();

  /// sums[pixel][channel] {kBlock, kBlock} = Σ over runs and their steps of x · w, f32. Pixel p's numbers begin at
  /// x + p·pixel_step. w: a tile for the first 16 channels and one for the second, or null, each again w.step numbers
  /// further for the next step. Of the block, only `pixel_tiles` times 16 pixels, one or two, and the channels that w
  /// names are computed, and only theirs are read.
  void (*multiply)(const Bits* x, long pixel_step, const Run* runs, int count, const Filter& w, int pixel_tiles,
                   float* sums);
  /// y[pixel][channel] = act(sums + bias + residual), pixels `pixel_step` numbers apart; channels up to kBlock.
  void (*finish)(const float* sums, int pixels, int channels, const Finish& f, long pixel_step, Bits* y);

  /// sums[pixel][0..16) = elu(sums[pixel][0..16) + bias) · sigmoid(sums[pixel][16..32) + bias). By hardware the
  /// sigmoid's reciprocal has 14 bits, to be rounded to bf16's eight.
  void (*gate)(float* sums, int pixels, const float* bias);

  /// sums {2, 2} tiles of 16 × 16 f32, channel of dy by channel of x, += (or =, if `first`) Σ over pixels of dy · x.
  /// dy: [channel][pixel], channels `channel_step` numbers apart; x: for every 16 channels, x_step numbers apart, pairs
  /// of pixels (pair_rows'). Pixels go by kDepth, `steps` times.
  void (*add_products)(const Bits* dy, long channel_step, const Bits* x, long x_step, int steps, bool first,
                       float* sums);

  /// to[i][j] = from[j][i] for i, j < 16, of pairs of numbers; rows `from_step` and `to_step` numbers apart.
  void (*transpose_pairs)(const Bits* from, long from_step, Bits* to, long to_step);
  /// to = a[0], b[0], a[1], b[1], … of `count` numbers each: 16 of each, then 16 more at to + to_step, and so on; zeros
  /// fill the last of them up.
  void (*pair_rows)(const Bits* a, const Bits* b, int count, Bits* to, long to_step);
};

/// By AMX; null where the processor, the operating system or the compiler has none.
const Loops* by_hardware();
/// In plain C++.
const Loops* in_plain_code();

}  // namespace telltale::amx
