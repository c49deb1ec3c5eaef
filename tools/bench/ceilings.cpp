#include "tools/bench/ceilings.h"

#include <algorithm>
#include <cstring>
#if defined(__AVX512BF16__)
#include <immintrin.h>
#endif

#include "kernels/device/buffer.h"
#include "kernels/device/cuda_api.h"
#include "kernels/device/host_values.h"
#include "kernels/device/philox.h"
#include "kernels/matmul/matmul.h"
#include "tools/bench/bench.h"

namespace telltale {
namespace {

/// Bytes of a GPU's memory that measuring may take: a small one is measured on less.
size_t affordable() { return cuda_api::memory().free / 32; }

double copy_bandwidth(Stream& s) {
  int64_t elements = s.is_cuda() ? int64_t(1) << 28 : int64_t(1) << 26;  // many times the caches
  while (s.is_cuda() && elements > 1 << 20 && size_t(elements) * 2 * sizeof(float) > affordable()) elements /= 2;
  const Shape shape{1, 1, int(elements >> 20), 1 << 20};
  const OwnedTensor from(s.place(), shape, DType::f32), to(s.place(), shape, DType::f32);
  fill_zero(s, from);
  double best = 0;
  for (int i = 0; i < 6; ++i) {
    s.sync();
    const double start = now();
    if (s.is_cuda()) {
      copy(s, to, from);
    } else {
      const int parts = s.threads();
#pragma omp parallel for num_threads(parts)
      for (int p = 0; p < parts; ++p) {
        const size_t part = from.tensor.bytes() / size_t(parts);
        std::memcpy(to.tensor.as<char>() + size_t(p) * part, from.tensor.as<char>() + size_t(p) * part, part);
      }
    }
    s.sync();
    best = std::max(best, 2.0 * double(from.tensor.bytes()) / (now() - start));
  }
  return best;
}

double multiply_add_rate(const Stream& s) {
  // Vectors as wide as the processor's, whatever width the compiler prefers for loops.
#if defined(__AVX512F__)
  constexpr int kLanes = 16, kSums = 16;
#else
  constexpr int kLanes = 8, kSums = 12;
#endif
  using Vector = float __attribute__((vector_size(kLanes * sizeof(float))));
  constexpr int kRounds = 200000, kRepeats = 60;  // short ones: some fall between what else runs
  double best = 0;
  for (int repeat = 0; repeat < kRepeats; ++repeat) {
    float sink = 0;
    const double start = now();
#pragma omp parallel num_threads(s.threads()) reduction(+ : sink)
    {
      Vector sum[kSums];
#pragma GCC unroll 16
      for (int i = 0; i < kSums; ++i) sum[i] = Vector{} + float(i);
      for (int r = 0; r < kRounds; ++r) {
#pragma GCC unroll 16
        for (int i = 0; i < kSums; ++i) sum[i] = sum[i] * 0.999f + 0.5f;
      }
#pragma GCC unroll 16
      for (int i = 0; i < kSums; ++i) sink += sum[i][0];
    }
    const double seconds = now() - start;
    if (sink != 0) best = std::max(best, 2.0 * kLanes * kSums * kRounds * s.threads() / seconds);
  }
  return best;
}

#if defined(__AVX512BF16__)
double bf16_dot_rate(const Stream& s) {
  constexpr int kSums = 16, kRounds = 200000, kRepeats = 60;
  double best = 0;
  for (int repeat = 0; repeat < kRepeats; ++repeat) {
    float sink = 0;
    const double start = now();
#pragma omp parallel num_threads(s.threads()) reduction(+ : sink)
    {
      const auto pairs = reinterpret_cast<__m512bh>(_mm512_set1_epi32(0x3f003f00));  // .5 and .5
      __m512 sum[kSums];
#pragma GCC unroll 16
      for (int i = 0; i < kSums; ++i) sum[i] = _mm512_set1_ps(float(i));
      for (int r = 0; r < kRounds; ++r) {
#pragma GCC unroll 16
        for (int i = 0; i < kSums; ++i) sum[i] = _mm512_dpbf16_ps(sum[i], pairs, pairs);
      }
#pragma GCC unroll 16
      for (int i = 0; i < kSums; ++i) sink += sum[i][0];
    }
    const double seconds = now() - start;
    if (sink != 0) best = std::max(best, 64.0 * kSums * kRounds * s.threads() / seconds);
  }
  return best;
}
#else
double bf16_dot_rate(const Stream&) { return 0; }
#endif

double matrix_rate(Stream& s, DType type, int n) {
  const Shape square{n, 1, 1, n};
  const OwnedTensor x(s.place(), square, type), w(s.place(), square, type), y(s.place(), square, type);
  Random random(1);
  std::vector<double> v(size_t(square.numel()));
  for (double& e : v) e = random.uniform(-1, 1);  // never zeros: a matrix unit runs faster on them
  set_values(s, x, v);
  set_values(s, w, v);
  double best = 0;
  for (int i = 0; i < 8; ++i) {
    s.sync();
    const double start = now();
    linear_forward(s, {.x = x, .w = w, .y = y});
    s.sync();
    if (i > 1) best = std::max(best, 2.0 * double(n) * n * n / (now() - start));
  }
  return best;
}

}  // namespace

double Ceilings::roof(double bytes, double operations) const {
  return std::max(copy_bytes > 0 ? bytes / copy_bytes : 0, flop > 0 ? operations / flop : 0);
}

Ceilings measure_ceilings(Stream& s, DType type) {
  Ceilings c{.copy_bytes = copy_bandwidth(s), .flop = 0, .flop_of = {}};
  if (s.is_cuda()) {
    int side = 8192;
    while (side > 512 && 3 * size_t(side) * size_t(side) * size_of(type) > affordable()) side /= 2;
    c.flop = matrix_rate(s, type, side);
    c.flop_of = cat("matrix product ", side, " ", name_of(type));
  } else {
    c.flop = multiply_add_rate(s);
    c.flop_of = "multiply-add f32";
    if (type == DType::bf16) c.bf16_dot = bf16_dot_rate(s);
    if (c.bf16_dot > c.flop) {
      c.flop = c.bf16_dot;
      c.flop_of = "bf16 dot products";
    }
  }
  return c;
}

}  // namespace telltale
