#include "kernels/matmul/amx.h"

#include <omp.h>

#include <algorithm>

#include "kernels/conv/amx/convolution.h"
#include "kernels/conv/amx/sweep.h"
#include "kernels/device/half.h"

namespace telltale::amx {
namespace {

constexpr int kColumns = 128;  // of w, that a thread lays out at once: a row's part is a few lines of the cache

bool fits(const Tensor& x, const Tensor& w, int out) {
  const int64_t in = w.shape.numel() / out;
  return amx::fits(x.dtype) && in % kColumns == 0 && out % kBlock == 0;
}

/// A matrix of rows {rows, numbers} as the filter of a sweep over rows as long.
Sweep rows_as_filter(int rows, int numbers) {
  Sweep s;
  s.from.c = numbers;
  s.channels = rows;
  return s;
}

}  // namespace

bool fits(const LinearArgs& a) { return a.y.shape.numel() > 0 && fits(a.x, a.w, a.y.shape.c); }
bool fits(const LinearGradArgs& a) { return a.dy.shape.numel() > 0 && fits(a.x, a.w, a.dy.shape.c); }

// The matrix is the left factor, as it lies; the batch is laid out as the right one.
void linear_forward(Stream& s, const LinearArgs& a) {
  const int batch = a.y.shape.n, out = a.y.shape.c, in = int(a.w.shape.numel() / out);
  const Sweep sweep = rows_as_filter(batch, in);
  Bits* x = s.workspace(sweep.filter_bytes()).as<Bits>();
  pack_filter(sweep, loops(), {a.x.as<Bits>(), {batch, 1, 1, in}}, x, s.threads());
  const Bits* w = a.w.as<Bits>();
  bf16* y = a.y.as<bf16>();
  const Run run{0, sweep.run_steps()};
#pragma omp parallel num_threads(s.threads())
  {
    alignas(64) float sums[kBlockSums];
    loops().begin();
#pragma omp for schedule(dynamic)
    for (int first = 0; first < out; first += kBlock) {
      for (int block = 0; block < sweep.blocks(); ++block) {
        loops().multiply(w + int64_t(first) * in, in, &run, 1, sweep.filter_of(x, block), 2, sums);
        const int images = std::min(kBlock, batch - block * kBlock);
        for (int n = 0; n < images; ++n) {
          bf16* to = y + int64_t(block * kBlock + n) * out + first;
          for (int o = 0; o < kBlock; ++o)
            to[o] = bf16(activate(a.act, sums[o * kBlock + n] + (a.bias ? a.bias.as<float>()[first + o] : 0.f)));
        }
      }
    }
    loops().end();
  }
}

void linear_input_gradient(Stream& s, const LinearGradArgs& a) {
  const int batch = a.dy.shape.n, out = a.dy.shape.c, in = int(a.w.shape.numel() / out);
  Sweep part = rows_as_filter(kColumns, out);
  const int rows = round_up(batch, kBlock);
  const size_t filter_bytes = aligned(part.filter_bytes()),
               dy_bytes = aligned(size_t(rows) * size_t(out) * sizeof(Bits));
  char* room = s.workspace(dy_bytes + filter_bytes * size_t(s.threads())).as<char>();
  Bits* dy = reinterpret_cast<Bits*>(room);  // filled up to whole tiles
  std::fill(std::copy_n(a.dy.as<Bits>(), int64_t(batch) * out, dy), dy + int64_t(rows) * out, Bits(0));
  Bits* dx = a.dx.as<Bits>();
  const Run run{0, part.run_steps()};
#pragma omp parallel num_threads(s.threads())
  {
    alignas(64) float sums[kBlockSums];
    Bits* filter = reinterpret_cast<Bits*>(room + dy_bytes + filter_bytes * size_t(omp_get_thread_num()));
    loops().begin();
#pragma omp for schedule(dynamic)
    for (int first = 0; first < in; first += kColumns) {
      pack_filter(part, loops(), {a.w.as<Bits>() + first, {out, 1, 1, in}, true}, filter, 1);
      for (int block = 0; block < part.blocks(); ++block) {
        for (int n = 0; n < batch; n += kBlock) {
          loops().multiply(dy + int64_t(n) * out, out, &run, 1, part.filter_of(filter, block), 2, sums);
          Bits* to = dx + int64_t(n) * in + first + block * kBlock;
          const Finish f{nullptr, a.dx_mode == GradMode::accumulate ? to : nullptr, false};
          loops().finish(sums, std::min(kBlock, batch - n), kBlock, f, in, to);
        }
      }
    }
    loops().end();
  }
}

namespace {

/// to[channel][image] = dy[image][channel], zeros up to `images`.
void turn(const Bits* dy, int batch, int channels, int images, Bits* to, int threads) {
#pragma omp parallel for num_threads(threads)
  for (int o = 0; o < channels; ++o) {
    for (int n = 0; n < images; ++n) to[int64_t(o) * images + n] = n < batch ? dy[int64_t(n) * channels + o] : Bits(0);
  }
}

/// A block of sums to where it lies in the matrix, whose rows are `in` long.
void store_block(const float* sums, int64_t in, bool accumulate, float* dw) {
  for (int r = 0; r < kBlock; ++r) {
    for (int half = 0; half < 2; ++half) {
      const float* from = sums + (r / kLanes * 2 + half) * kLanes * kLanes + r % kLanes * kLanes;
      float* to = dw + r * in + half * kLanes;
#pragma omp simd
      for (int c = 0; c < kLanes; ++c) to[c] = accumulate ? to[c] + from[c] : from[c];
    }
  }
}

}  // namespace

void linear_filter_gradient(Stream& s, const LinearGradArgs& a) {
  const int batch = a.dy.shape.n, out = a.dy.shape.c, in = int(a.w.shape.numel() / out),
            images = round_up(batch, kDepth);
  const size_t dy_bytes = aligned(size_t(out) * size_t(images) * sizeof(Bits)),
               x_bytes = aligned(size_t(in) * size_t(images) * sizeof(Bits)), row_bytes = size_t(in) * sizeof(Bits);
  char* room = s.workspace(dy_bytes + x_bytes + row_bytes).as<char>();
  Bits *dy = reinterpret_cast<Bits*>(room), *x = reinterpret_cast<Bits*>(room + dy_bytes),
       *zeros = reinterpret_cast<Bits*>(room + dy_bytes + x_bytes);
  std::fill(zeros, zeros + in, Bits(0));
  turn(a.dy.as<Bits>(), batch, out, images, dy, s.threads());
  const int64_t x_step = int64_t(kLanes) * images;  // from 16 numbers of x's rows to the next
  const auto row = [&](int n) { return n < batch ? a.x.as<Bits>() + int64_t(n) * in : zeros; };
#pragma omp parallel for num_threads(s.threads())
  for (int n = 0; n < images; n += 2) loops().pair_rows(row(n), row(n + 1), in, x + n * kLanes, x_step);
  float* dw = a.dw.as<float>();
#pragma omp parallel num_threads(s.threads())
  {
    alignas(64) float sums[kBlockSums];
    loops().begin();
#pragma omp for schedule(dynamic)
    for (int o = 0; o < out; o += kBlock) {
      for (int i = 0; i < in; i += kBlock) {
        loops().add_products(dy + int64_t(o) * images, images, x + i / kLanes * x_step, x_step, images / kDepth, true,
                             sums);
        store_block(sums, in, a.dw_mode == GradMode::accumulate, dw + int64_t(o) * in + i);
      }
    }
    loops().end();
  }
}

}  // namespace telltale::amx
