#pragma once
// Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"): a counter in, four random words
// out, the same bits on every device and for any number of threads.
#include <cstdint>

#include "kernels/device/tensor.h"

namespace telltale {

struct Philox4 {
  uint32_t v[4];
};

TT_HD inline Philox4 philox(uint64_t key, uint64_t counter_low, uint64_t counter_high) {
  uint32_t k0 = uint32_t(key), k1 = uint32_t(key >> 32);
  uint32_t c0 = uint32_t(counter_low), c1 = uint32_t(counter_low >> 32), c2 = uint32_t(counter_high),
           c3 = uint32_t(counter_high >> 32);
  for (int round = 0; round < 10; ++round) {
    const uint64_t p0 = uint64_t(0xD2511F53u) * c0, p1 = uint64_t(0xCD9E8D57u) * c2;
    const uint32_t n0 = uint32_t(p1 >> 32) ^ c1 ^ k0, n2 = uint32_t(p0 >> 32) ^ c3 ^ k1;
    c1 = uint32_t(p1);
    c3 = uint32_t(p0);
    c0 = n0;
    c2 = n2;
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return {{c0, c1, c2, c3}};
}

/// Uniform in [0, 1) with 24 random bits.
TT_HD inline float uniform01(uint32_t word) { return float(word >> 8) * 5.9604644775390625e-8f; }

/// A sequential generator over philox for host code: seeded, splittable by `stream`, never shared between threads.
class Random {
 public:
  explicit Random(uint64_t seed, uint64_t stream = 0) : seed_(seed), stream_(stream) {}
  using result_type = uint32_t;
  static constexpr uint32_t min() { return 0; }
  static constexpr uint32_t max() { return 0xffffffffu; }
  uint32_t operator()() {
    if (used_ == 4) {
      block_ = philox(seed_, counter_++, stream_);
      used_ = 0;
    }
    return block_.v[used_++];
  }
  /// Uniform in [0, 1).
  double uniform() {
    const uint64_t high = (*this)() >> 5, low = (*this)() >> 6;
    return (double(high) * 67108864.0 + double(low)) / 9007199254740992.0;
  }
  double uniform(double low, double high) { return low + (high - low) * uniform(); }
  /// Uniform in {low, …, high}, both included, without modulo bias.
  int64_t integer(int64_t low, int64_t high) { return low + int64_t(uniform() * double(high - low + 1)); }
  /// Standard normal (Box and Muller 1958).
  double normal();

 private:
  uint64_t seed_, stream_, counter_ = 0;
  Philox4 block_{};
  int used_ = 4;
};

}  // namespace telltale
