// The loops in plain C++, so that a processor without AMX can test what is built on them.
#include <cstring>

#include "kernels/conv/amx/tiles.h"
#include "kernels/device/half.h"
#include "kernels/parts/math.h"

namespace telltale::amx {
namespace {

float value(Bits bits) { return float_of(uint32_t(bits) << 16); }
Bits rounded(float v) { return bf16(v).bits; }

void nothing() {}

/// sums[16][16] += left[16][32] · right, whose rows hold pairs for 16 columns.
void multiply_tile(const Bits* left, long left_step, const Bits* right, float* sums, long sums_step) {
  for (int i = 0; i < kLanes; ++i) {
    for (int k = 0; k < kDepth; ++k) {
      const float one = value(left[i * left_step + k]);
      for (int j = 0; j < kLanes; ++j) sums[i * sums_step + j] += one * value(right[k / 2 * kDepth + 2 * j + k % 2]);
    }
  }
}

void multiply(const Bits* x, long pixel_step, const Run* runs, int count, const Filter& w, int pixel_tiles,
              float* sums) {
  memset(sums, 0, kBlockSums * sizeof(float));
  long at = 0;
  for (const Run* run = runs; run != runs + count; ++run) {
    for (int step = 0; step < run->steps; ++step, at += w.step) {
      for (int p = 0; p < pixel_tiles; ++p) {
        const Bits* left = x + run->offset + step * kDepth + p * kLanes * pixel_step;
        multiply_tile(left, pixel_step, w.first + at, sums + p * kLanes * kBlock, kBlock);
        if (w.second) multiply_tile(left, pixel_step, w.second + at, sums + p * kLanes * kBlock + kLanes, kBlock);
      }
    }
  }
}

void gate(float* sums, int pixels, const float* bias) {
  for (int p = 0; p < pixels; ++p, sums += kBlock) {
    for (int c = 0; c < kLanes; ++c)
      sums[c] = activate(Act::elu, sums[c] + bias[c]) * activate(Act::sigmoid, sums[kLanes + c] + bias[kLanes + c]);
  }
}

void finish(const float* sums, int pixels, int channels, const Finish& f, long pixel_step, Bits* y) {
  for (int p = 0; p < pixels; ++p) {
    for (int c = 0; c < channels; ++c) {
      float v = sums[p * kBlock + c] + (f.bias ? f.bias[c] : 0.f);
      if (f.residual) v += value(f.residual[p * pixel_step + c]);
      if (f.relu) v = v > 0 ? v : 0.f;
      y[p * pixel_step + c] = rounded(v);
    }
  }
}

void add_products(const Bits* dy, long channel_step, const Bits* x, long x_step, int steps, bool first, float* sums) {
  if (first) memset(sums, 0, kBlockSums * sizeof(float));
  for (int step = 0; step < steps; ++step) {
    for (int i = 0; i < 2; ++i) {
      for (int j = 0; j < 2; ++j)
        multiply_tile(dy + step * kDepth + i * kLanes * channel_step, channel_step, x + step * kTile + j * x_step,
                      sums + (2 * i + j) * kLanes * kLanes, kLanes);
    }
  }
}

void transpose_pairs(const Bits* from, long from_step, Bits* to, long to_step) {
  for (int i = 0; i < kLanes; ++i) {
    for (int j = 0; j < kLanes; ++j) memcpy(to + i * to_step + 2 * j, from + j * from_step + 2 * i, 2 * sizeof(Bits));
  }
}

void pair_rows(const Bits* a, const Bits* b, int count, Bits* to, long to_step) {
  for (int first = 0; first < count; first += kLanes, to += to_step) {
    for (int i = 0; i < kLanes; ++i) {
      const bool real = first + i < count;
      to[2 * i] = real ? a[first + i] : Bits(0);
      to[2 * i + 1] = real ? b[first + i] : Bits(0);
    }
  }
}

}  // namespace

const Loops* in_plain_code() {
  static constexpr Loops kLoops{nothing, nothing, multiply, finish, gate, add_products, transpose_pairs, pair_rows};
  return &kLoops;
}

}  // namespace telltale::amx
