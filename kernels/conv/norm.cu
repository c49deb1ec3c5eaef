// What is one number a channel between a convolution and its batch norms, and the norm's input gradient in one pass:
// one source for both devices.
#include <cmath>

#include "kernels/conv/norm.h"
#include "kernels/device/launch.h"
#include "kernels/parts/chunk.h"
#include "kernels/parts/math.h"
#include "kernels/parts/rows_ahead.h"

namespace telltale {
namespace {

template <class A>
struct StatisticsOfSums {
  const A* sums;
  A *mean, *rstd, *running_mean, *running_var, *batches;
  int c;
  double rows, momentum, eps;
  TT_HD void operator()(int64_t i) const {
    const double m = double(sums[i]) / rows, v = double(sums[c + i]) / rows - m * m, variance = v > 0 ? v : 0;
    mean[i] = A(m);
    rstd[i] = A(1 / sqrt(variance + eps));
    running_mean[i] = A((1 - momentum) * double(running_mean[i]) + momentum * m);
    if (rows > 1)
      running_var[i] = A((1 - momentum) * double(running_var[i]) + momentum * (variance * rows / (rows - 1)));
    if (batches && i == 0) *batches += A(1);
  }
};

template <class T>
struct PlainChannelSums {
  const T* x;
  acc_t<T>* sums;
  int64_t rows;
  int c;
  TT_HD void operator()(int64_t i) const {
    double sum = 0, squares = 0;
    for (int64_t row = 0; row < rows; ++row) {
      const double v = double(load(x[row * c + i]));
      sum += v;
      squares += v * v;
    }
    sums[i] = acc_t<T>(sum);
    sums[c + i] = acc_t<T>(squares);
  }
};

template <class T, class A>
struct ScaleAndShift {
  const A *mean, *rstd, *gamma, *beta;
  T *scale, *shift;
  /// v, or the largest number of T with its sign: an infinity would make NaN of a product with 0.
  TT_HD static A finite(A v) {
    const A most = std::is_same_v<T, f16> ? A(65504) : A(3e38f);
    return v > most ? most : v < -most ? -most : v;
  }
  TT_HD void at(int64_t i, T& to_scale, T& to_shift) const {
    const A k = finite(gamma[i] * rstd[i]);
    to_scale = store<T>(acc_t<T>(k));
    to_shift = store<T>(acc_t<T>(finite(beta[i] - mean[i] * k)));
  }
  TT_HD void operator()(int64_t i) const { at(i, scale[i], shift[i]); }
};

/// y = relu(x·scale + shift), both rounded to halves, a chunk of channels of a few rows to an index.
struct NormInHalves {
  RowGroups groups;
  const f16* x;
  f16* y;
  const float *mean, *rstd, *gamma, *beta;
  bool aligned;

  TT_HD void operator()(int64_t i) const {
    const RowChunks::At at = groups.chunks.at(i);
    aligned ? apply<true>(at, kChunk) : apply<false>(at, at.size);
  }
  template <bool kAligned>
  TT_HD void apply(const RowChunks::At& at, int size) const {
    const int c = groups.chunks.c;
    const ScaleAndShift<f16, float> rounded{mean, rstd, gamma, beta, nullptr, nullptr};
    Chunk<float> scale, shift;
    each_in_chunk([&](int k) {
      f16 of_scale, of_shift;
      if (k < size) rounded.at(at.c + k, of_scale, of_shift);
      scale[k] = float(of_scale);
      shift[k] = float(of_shift);
    });
    constexpr int kAhead = kRowsAhead<f16, 32, kAligned>;
    RawChunk<f16> of_x[kAhead];
    walk_rows<kAhead>(
        groups.first(at), groups.last(at), 1,
        [&](int j, int64_t row) { of_x[j] = load_raw<kAligned>(x + row * c + at.c, size); },
        [&](int j, int64_t row) {
          Chunk<float> v = of_x[j].numbers();
          each_in_chunk([&](int k) { v[k] = activate(Act::relu, v[k] * scale[k] + shift[k]); });
          store_chunk(y + row * c + at.c, v, size, kAligned);
        });
  }
};

template <class A>
struct WeightGradients {
  const A* sums;
  A *dgamma, *dbeta;
  int c;
  bool accumulate;
  TT_HD void operator()(int64_t i) const {
    dgamma[i] = accumulate ? dgamma[i] + sums[i] : sums[i];
    dbeta[i] = accumulate ? dbeta[i] + sums[c + i] : sums[c + i];
  }
};

/// dx = γ·rstd·(g − mean(g) − x̂·mean(g·x̂)), g in dx, a chunk of channels of a few rows to an index.
template <class T>
struct InputGradient {
  using A = acc_t<T>;
  RowGroups groups;
  const T* x;
  T* dx;
  const A *mean, *rstd, *gamma, *sums;
  bool aligned;

  TT_HD void operator()(int64_t i) const {
    const RowChunks::At at = groups.chunks.at(i);
    aligned ? apply<true>(at, kChunk) : apply<false>(at, at.size);
  }
  template <bool kAligned>
  TT_HD void apply(const RowChunks::At& at, int size) const {
    const int c = groups.chunks.c;
    const auto vector = [&](const A* v) { return load_chunk(v + at.c, size, kAligned); };
    const Chunk<A> m = vector(mean), r = vector(rstd);
    Chunk<A> factor = vector(gamma), linear = vector(sums), constant = vector(sums + c);
    const A share = A(1) / A(groups.rows);
    each_in_chunk([&](int k) {
      factor[k] *= r[k];
      constant[k] *= factor[k] * share;
      linear[k] *= factor[k] * r[k] * share;
    });
    constexpr int kAhead = kRowsAhead<T, 64, kAligned>;
    RawChunk<T> of_x[kAhead], of_dx[kAhead];
    walk_rows<kAhead>(
        groups.first(at), groups.last(at), 1,
        [&](int j, int64_t row) {
          of_x[j] = load_raw<kAligned>(x + row * c + at.c, size);
          of_dx[j] = load_raw<kAligned>(dx + row * c + at.c, size);
        },
        [&](int j, int64_t row) {
          const Chunk<A> v = of_x[j].numbers();
          Chunk<A> g = of_dx[j].numbers();
          each_in_chunk([&](int k) { g[k] = factor[k] * g[k] - constant[k] - linear[k] * (v[k] - m[k]); });
          store_chunk(dx + row * c + at.c, g, size, kAligned);
        });
  }
};

template <class T>
void input_gradient(Stream& s, const ConvNormGradArgs& a, const Tensor& sums) {
  using A = acc_t<T>;
  const int c = a.x.shape.c;
  const InputGradient<T> f{RowGroups(a.x.shape.rows(), c),
                           a.x.as<T>(),
                           a.dx.as<T>(),
                           a.norm.mean.as<A>(),
                           a.norm.rstd.as<A>(),
                           a.norm.gamma.as<A>(),
                           sums.as<A>(),
                           c % kChunk == 0 && all_aligned({a.x.data, a.dx.data, a.norm.mean.data, a.norm.rstd.data,
                                                           a.norm.gamma.data, sums.data})};
  for_each(s, f.groups.chunks.count(), f);
}

void check_sums(const Tensor& sums, const Tensor& x) {
  TT_CHECK(sums && sums.shape == (Shape{1, 1, 2, x.shape.c}) && sums.dtype == accumulator_of(x.dtype), ShapeError,
           "conv_norm: sums must be [1,1,2,", x.shape.c, "] of ", name_of(accumulator_of(x.dtype)), ", got ",
           to_string(sums.shape), " of ", name_of(sums.dtype));
}

}  // namespace

void batchnorm_statistics_of(Stream& s, const BatchNormArgs& a, Tensor sums) {
  check_sums(sums, a.x);
  visit_float(sums.dtype, [&](auto tag) {
    using A = acc_t<typename decltype(tag)::type>;
    for_each(s, a.x.shape.c,
             StatisticsOfSums<A>{sums.as<A>(), a.mean.as<A>(), a.rstd.as<A>(), a.running_mean.as<A>(),
                                 a.running_var.as<A>(), a.batches.as<A>(), a.x.shape.c, double(a.x.shape.rows()),
                                 double(a.momentum), double(a.eps)});
  });
}

void channel_sums(Stream& s, Tensor x, Tensor sums) {
  check_sums(sums, x);
  visit_float(x.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    for_each(s, x.shape.c, PlainChannelSums<T>{x.as<T>(), sums.as<acc_t<T>>(), x.shape.rows(), x.shape.c});
  });
}

void norm_as_scale(Stream& s, const ChannelNorm& norm, Tensor scale, Tensor shift) {
  TT_CHECK(scale.shape == norm.gamma.shape && shift.shape == scale.shape && shift.dtype == scale.dtype, ShapeError,
           "conv_norm: scale and shift must be alike, ", to_string(norm.gamma.shape), ", got ", to_string(scale.shape),
           " and ", to_string(shift.shape));
  visit_float(norm.gamma.dtype, [&](auto of_norm) {
    visit_float(scale.dtype, [&](auto tag) {
      using A = acc_t<typename decltype(of_norm)::type>;
      using T = typename decltype(tag)::type;
      for_each(s, scale.shape.c,
               ScaleAndShift<T, A>{norm.mean.as<A>(), norm.rstd.as<A>(), norm.gamma.as<A>(), norm.beta.as<A>(),
                                   scale.as<T>(), shift.as<T>()});
    });
  });
}

void norm_in_halves(Stream& s, Tensor x, const ChannelNorm& norm, Tensor y) {
  TT_CHECK(x.dtype == DType::f16 && y.dtype == x.dtype && y.shape == x.shape, ShapeError,
           "conv_norm: a norm in halves is of f16, got ", name_of(x.dtype), " and ", name_of(y.dtype));
  const int c = x.shape.c;
  const NormInHalves f{RowGroups(x.shape.rows(), c),
                       x.as<f16>(),
                       y.as<f16>(),
                       norm.mean.as<float>(),
                       norm.rstd.as<float>(),
                       norm.gamma.as<float>(),
                       norm.beta.as<float>(),
                       c % kChunk == 0 && all_aligned({x.data, y.data})};
  for_each(s, f.groups.chunks.count(), f, kChunk * RowGroups::kSmallest);
}

void norm_input_gradient(Stream& s, const ConvNormGradArgs& a, Tensor sums) {
  check_sums(sums, a.x);
  if (a.dw_mode != GradMode::ignore) {
    visit_float(sums.dtype, [&](auto tag) {
      using A = acc_t<typename decltype(tag)::type>;
      for_each(s, a.x.shape.c,
               WeightGradients<A>{sums.as<A>(), a.dgamma.as<A>(), a.dbeta.as<A>(), a.x.shape.c,
                                  a.dw_mode == GradMode::accumulate});
    });
  }
  visit_float(a.x.dtype, [&](auto tag) { input_gradient<typename decltype(tag)::type>(s, a, sums); });
}

}  // namespace telltale
