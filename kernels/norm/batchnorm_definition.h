#pragma once
// What both passes' cases of batch normalisation share: settings, tensors and sums by definition, in double.
#include <cmath>
#include <string>
#include <vector>

#include "kernels/case/op_case.h"
#include "kernels/norm/batchnorm.h"

namespace telltale::batchnorm_cases {

struct Setting {
  Shape x;
  bool relu = false, residual = false, frozen = false;
  bool packed = false;  ///< relu's mask as bits
  double centre = 0;    ///< of x, which spreads by 1 to both sides
  GradMode mode = GradMode::overwrite;
  std::string name() const {
    static const char* const modes[] = {" ignore", "", " accumulate"};
    return cat(to_string(x), relu ? " relu" : "", residual ? " residual" : "", frozen ? " frozen" : "",
               packed ? " packed mask" : "", centre != 0 ? cat(" around ", centre) : "", modes[int(mode)]);
  }
};

using Vec = std::vector<double>;

/// Per-channel sums in long double, so that in f64 the reference is the better one.
template <class F>
Vec channel_sums(size_t count, size_t channels, const F& term) {
  std::vector<long double> sum(channels, 0);
  for (size_t i = 0; i < count; ++i) sum[i % channels] += term(i);
  return {sum.begin(), sum.end()};
}

inline BatchNormArgs arguments(CaseRun& run, const Setting& z) {
  const DType acc = accumulator_of(run.dtype);
  const Shape v{1, 1, 1, z.x.c};
  BatchNormArgs a;
  a.x = run.input(z.x, z.centre - 1, z.centre + 1);
  if (z.residual) a.residual = run.input(z.x);
  a.gamma = run.input(v, acc, 0.5, 1.5);
  a.beta = run.input(v, acc, -0.5, 0.5);
  a.running_mean = run.input(v, acc, z.centre - 0.5, z.centre + 0.5);
  a.running_var = run.input(v, acc, 0.5, 1.5);
  a.mean = run.output(v, acc);
  a.rstd = run.output(v, acc);
  a.batches = run.from({1, 1, 1, 1}, acc, {41});
  a.y = run.output(z.x);
  a.act = z.relu ? Act::relu : Act::none;
  if (z.packed) a.passed = run.output(passed_shape(z.x), DType::u8);
  return a;
}

inline void run_forward(CaseRun& run, const Setting& z, const BatchNormArgs& a) {
  z.frozen ? batchnorm_frozen(run.stream, a) : batchnorm_forward(run.stream, a);
}

inline double largest(const Vec& v) {
  double m = 0;
  for (double e : v) m = std::max(m, std::abs(e));
  return m;
}

/// A handful of roundings, each of half an ulp; in 16 bits the last one is all that shows.
inline double ulps(DType t) { return size_of(t) == 2 ? 1 : 12; }

/// A case of `op`; a bench's batch grows with its device.
inline void add_case(std::vector<OpCase>& to, const char* op, void (*body)(CaseRun&, const Setting&), const Setting& z,
                     bool bench) {
  const std::vector<DType> types = z.centre != 0 ? std::vector{DType::f32, DType::f64} : kAllFloats;
  to.push_back({op, z.name(), bench ? std::vector{DType::f32, DType::bf16} : types,
                [=](CaseRun& run) {
                  Setting sized = z;
                  sized.x = run.sized(z.x);
                  body(run, sized);
                },
                bench, !bench});
}

/// The cases that either pass has.
inline void add_cases(std::vector<OpCase>& to, const char* op, void (*body)(CaseRun&, const Setting&)) {
  const auto add = [&](const Setting& z, bool bench = false) { add_case(to, op, body, z, bench); };
  for (const Shape& x :
       {Shape{1, 1, 1, 1}, Shape{1, 1, 1, 17}, Shape{2, 1, 1, 3}, Shape{1, 13, 17, 1}, Shape{2, 5, 7, 3},
        Shape{3, 7, 5, 17}, Shape{2, 9, 11, 64}, Shape{4, 33, 35, 24}, Shape{1, 7, 7, 600}}) {
    for (const bool frozen : {false, true}) {
      add({.x = x, .frozen = frozen});
      add({.x = x, .relu = true, .residual = true, .frozen = frozen, .packed = true});
      add({.x = x, .relu = true, .frozen = frozen});
    }
  }
  add({.x = {3, 7, 5, 16}, .residual = true});
  for (const Shape& x : {Shape{3, 9, 7, 5}, Shape{4, 33, 35, 24}}) add({.x = x, .centre = 1e4});
  add({.x = {1, 1, 3, 1064}, .relu = true});  // a device's blocks take several channels each
  for (const Shape& x : {Shape{24, 112, 112, 64}, Shape{48, 28, 28, 512}}) {
    add({.x = x, .relu = true}, true);
    add({.x = x, .relu = true, .residual = true, .packed = true}, true);
  }
}

}  // namespace telltale::batchnorm_cases
