// The host's form: every pass walks blocks that stay in the second-level cache, and sums fold in one order whatever the
// number of threads.
#include "kernels/norm/batchnorm.h"

#include <cmath>

#include "kernels/norm/batchnorm_together.h"
#include "kernels/parts/math.h"
#include "kernels/parts/relu_mask.h"
#include "kernels/parts/row_blocks.h"

namespace telltale {
namespace {

void check_vector(const char* name, const Tensor& t, const Tensor& x) {
  TT_CHECK(t && t.shape == (Shape{1, 1, 1, x.shape.c}) && t.dtype == accumulator_of(x.dtype), ShapeError,
           "batchnorm: ", name, " must be [1,1,1,", x.shape.c, "] of ", name_of(accumulator_of(x.dtype)), ", got ",
           t ? to_string(t.shape) + " of " + name_of(t.dtype) : "nothing");
}
void check_like(const char* name, const Tensor& t, const Tensor& x) {
  TT_CHECK(t && t.shape == x.shape && t.dtype == x.dtype, ShapeError, "batchnorm: ", name, " must be like x, ",
           to_string(x.shape), " of ", name_of(x.dtype), ", got ",
           t ? to_string(t.shape) + " of " + name_of(t.dtype) : "nothing");
}
void check_passed(const Tensor& t, const Tensor& x) {
  TT_CHECK(!t || (t.shape == passed_shape(x.shape) && t.dtype == DType::u8), ShapeError, "batchnorm: the mask must be ",
           to_string(passed_shape(x.shape)), " of u8, got ", to_string(t.shape), " of ", name_of(t.dtype));
}
void check_act(Act act) {
  TT_CHECK(act == Act::none || act == Act::relu, ShapeError, "batchnorm: only relu can be fused");
}

/// Elements handled at once: the scratch of one step stays in the first-level cache.
constexpr int64_t kSegment = 512;

/// Per-channel vectors of doubles from one sum a block: folded in block order.
template <class A>
void fold_blocks(const RowBlocks& g, const A* partial, int64_t stride, double* total) {
  std::fill(total, total + g.c, 0.0);
  for (int64_t b = 0; b < g.count; ++b) {
    for (int c = 0; c < g.c; ++c) total[c] += double(partial[b * stride + c]);
  }
}

/// What forward keeps of one block, each {width}: a shift (the block's first row), the mean less the shift, and the
/// summed squared deviation from the mean. Apart, shift and mean keep the digits that a large mean would cost.
template <class A>
struct BlockStatistics {
  A *shift, *mean, *squares;
  BlockStatistics(A* base, int64_t width, int64_t block)
      : shift(base + block * 3 * width), mean(shift + width), squares(mean + width) {}

  /// Two passes: the second finds the rows in the cache.
  template <class T>
  void gather(const RowBlocks& g, int64_t block, const T* x) {
    const int64_t rows = g.rows_in(block), width = g.width();
    for (int c = 0; c < g.c; ++c) shift[c] = load(x[block * g.block_rows * g.c + c]);
    g.spread(shift);
    std::fill(mean, mean + 2 * width, A(0));
    g.groups(block, [&](int64_t offset, int64_t length) {
#pragma omp simd
      for (int64_t i = 0; i < length; ++i) mean[i] += load(x[offset + i]) - shift[i];
    });
    g.fold_rows(mean);
    for (int c = 0; c < g.c; ++c) mean[c] /= A(rows);
    g.spread(mean);
    g.groups(block, [&](int64_t offset, int64_t length) {
#pragma omp simd
      for (int64_t i = 0; i < length; ++i) {
        const A d = load(x[offset + i]) - shift[i] - mean[i];
        squares[i] += d * d;
      }
    });
    g.fold_rows(squares);
  }
};

/// Joins the blocks: M2 = Σ M2_b + n_b·(mean_b − mean)² (Chan et al. 1979), with means taken from the first block's
/// shift.
template <class A>
void join_blocks(const RowBlocks& g, A* partial, double* mean, double* squares) {
  const A* origin = BlockStatistics<A>(partial, g.width(), 0).shift;
  const auto mean_of = [&](const BlockStatistics<A>& s, int c) {
    return double(s.shift[c]) - double(origin[c]) + double(s.mean[c]);
  };
  std::fill(mean, mean + g.c, 0.0);
  std::fill(squares, squares + g.c, 0.0);
  for (int64_t b = 0; b < g.count; ++b) {
    const BlockStatistics<A> s(partial, g.width(), b);
    const double share = double(g.rows_in(b)) / double(g.rows);
    for (int c = 0; c < g.c; ++c) mean[c] += share * mean_of(s, c);
  }
  for (int64_t b = 0; b < g.count; ++b) {
    const BlockStatistics<A> s(partial, g.width(), b);
    const double n = double(g.rows_in(b));
    for (int c = 0; c < g.c; ++c) {
      const double d = mean_of(s, c) - mean[c];
      squares[c] += double(s.squares[c]) + n * d * d;
    }
  }
  for (int c = 0; c < g.c; ++c) mean[c] += double(origin[c]);
}

/// Scratch cut from a stream's workspace: one call, then pieces.
class Pieces {
 public:
  explicit Pieces(void* base) : at_(static_cast<char*>(base)) {}
  template <class V>
  V* take(int64_t count) {
    V* p = reinterpret_cast<V*>(at_);
    at_ += bytes<V>(count);
    return p;
  }
  template <class V>
  static size_t bytes(int64_t count) {
    return (size_t(count) * sizeof(V) + 63) / 64 * 64;
  }

 private:
  char* at_;
};

/// One group of rows of y. What is written goes straight to y: through a scratch array it costs a third more time.
template <bool kResidual, bool kRelu, class T, class A = acc_t<T>>
void normalise(const T* x, const T* residual, const A* mean, const A* scale, const A* beta, int64_t n, T* y) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) {
    A v = (load(x[i]) - mean[i]) * scale[i] + beta[i];
    if constexpr (kResidual) v += load(residual[i]);
    if constexpr (kRelu) v = activate(Act::relu, v);
    y[i] = store<T>(v);
  }
}

template <class T>
void statistics(Stream& s, const BatchNormArgs& a) {
  using A = acc_t<T>;
  const RowBlocks g(a.x.shape.rows(), a.x.shape.c, sizeof(T));
  const int64_t width = g.width(), scratch = g.count * 3 * width;
  Pieces pieces(s.workspace(Pieces::bytes<A>(scratch) + 2 * Pieces::bytes<double>(g.c)).data);
  A* partial = pieces.take<A>(scratch);
  double *total = pieces.take<double>(g.c), *squares = pieces.take<double>(g.c);
  const T* x = a.x.as<T>();

#pragma omp parallel for num_threads(s.threads()) if (!g.small())
  for (int64_t b = 0; b < g.count; ++b) BlockStatistics<A>(partial, width, b).gather(g, b, x);

  join_blocks(g, partial, total, squares);
  const auto channels = size_t(g.c);
  const double rows = join_processes(double(g.rows), {total, channels}, {squares, channels});
  const double momentum = a.momentum;
  for (int c = 0; c < g.c; ++c) {
    a.mean.as<A>()[c] = A(total[c]);
    a.rstd.as<A>()[c] = A(1 / std::sqrt(squares[c] / rows + double(a.eps)));
    A &running_mean = a.running_mean.as<A>()[c], &running_var = a.running_var.as<A>()[c];
    running_mean = A((1 - momentum) * double(running_mean) + momentum * total[c]);
    if (rows > 1) running_var = A((1 - momentum) * double(running_var) + momentum * squares[c] / (rows - 1));
  }
  if (a.batches) *a.batches.as<A>() += A(1);
}

template <class T>
void apply(Stream& s, const BatchNormArgs& a) {
  using A = acc_t<T>;
  const RowBlocks g(a.x.shape.rows(), a.x.shape.c, sizeof(T));
  const int64_t width = g.width();
  Pieces pieces(s.workspace(3 * Pieces::bytes<A>(width)).data);
  A *mean = pieces.take<A>(width), *scale = pieces.take<A>(width), *beta = pieces.take<A>(width);
  const T *x = a.x.as<T>(), *residual = a.residual.as<T>();
  T* y = a.y.as<T>();
  for (int c = 0; c < g.c; ++c) {
    mean[c] = a.mean.as<A>()[c];
    scale[c] = a.gamma.as<A>()[c] * a.rstd.as<A>()[c];  // as backward has it, which may compute relu's mask anew
    beta[c] = a.beta.as<A>()[c];
  }
  g.spread(mean);
  g.spread(scale);
  g.spread(beta);

  const bool relu = a.act == Act::relu;
  const auto write = residual ? (relu ? normalise<true, true, T> : normalise<true, false, T>)
                              : (relu ? normalise<false, true, T> : normalise<false, false, T>);
#pragma omp parallel for num_threads(s.threads()) if (!g.small())
  for (int64_t b = 0; b < g.count; ++b) {
    g.groups(b, [&](int64_t o, int64_t length) {
      write(x + o, residual ? residual + o : nullptr, mean, scale, beta, length, y + o);
      if (a.passed) pack_mask(y + o, o, length, g.c, a.passed.as<uint8_t>());
    });
  }
}

/// What backward reads of a layer to know which gradients ReLU lets through.
template <class T>
struct Incoming {
  using A = acc_t<T>;
  const T *x, *dy;
  const uint8_t* passed;
  const A *mean, *factor, *beta;  ///< for a whole group of rows
  int c;
  bool relu;

  /// g = dy where relu let it through: n elements from `offset` on, `at` in their group. Two loops: in one, the
  /// compiler makes dy's loads wait for x's.
  void masked(int64_t offset, int64_t at, int64_t n, A* g) const {
#pragma omp simd
    for (int64_t i = 0; i < n; ++i) g[i] = load(dy[offset + i]);
    if (!relu) return;
    if (passed) return unpack_mask(passed, offset, n, c, g);
    const A *m = mean + at, *k = factor + at, *b = beta + at;
#pragma omp simd
    for (int64_t i = 0; i < n; ++i) {
      const A y = (load(x[offset + i]) - m[i]) * k[i] + b[i];
      g[i] = load(store<T>(y)) > A(0) ? g[i] : A(0);
    }
  }
};

/// to[i] = or += value(i).
template <class T, class F>
void write(T* to, GradMode mode, int64_t n, F value) {
  if (mode == GradMode::overwrite) {
#pragma omp simd
    for (int64_t i = 0; i < n; ++i) to[i] = store<T>(value(i));
  } else {
#pragma omp simd
    for (int64_t i = 0; i < n; ++i) to[i] = store<T>(load(to[i]) + value(i));
  }
}

template <class A>
void write_weight(Tensor t, GradMode mode, int c, double v) {
  if (!t || mode == GradMode::ignore) return;
  A& to = t.as<A>()[c];
  to = mode == GradMode::overwrite ? A(v) : to + A(v);
}

template <class T>
void backward(Stream& s, const BatchNormGradArgs& a) {
  using A = acc_t<T>;
  const bool trained = bool(a.mean), relu = a.act == Act::relu;
  const bool wants_dx = a.dx && a.dx_mode != GradMode::ignore;
  const bool wants_dresidual = a.dresidual && a.dresidual_mode != GradMode::ignore;
  const bool wants_dw = (a.dgamma || a.dbeta) && a.dw_mode != GradMode::ignore;
  const RowBlocks g(a.dy.shape.rows(), a.dy.shape.c, sizeof(T));
  const int64_t width = g.width(), stride = 2 * width;
  Pieces pieces(
      s.workspace(Pieces::bytes<A>(g.count * stride) + 2 * Pieces::bytes<double>(g.c) + 5 * Pieces::bytes<A>(width))
          .data);
  A* partial = pieces.take<A>(g.count * stride);
  double *sum_g = pieces.take<double>(g.c), *sum_gx = pieces.take<double>(g.c);
  A *mean = pieces.take<A>(width), *factor = pieces.take<A>(width), *constant = pieces.take<A>(width),
    *linear = pieces.take<A>(width), *beta = pieces.take<A>(width);
  const T* x = a.x.as<T>();
  const bool recompute = relu && !a.passed;
  const auto rstd_of = [&](int c) {
    return trained ? double(a.rstd.as<A>()[c]) : 1 / std::sqrt(double(a.running_var.as<A>()[c]) + double(a.eps));
  };
  for (int c = 0; c < g.c; ++c) {
    mean[c] = (trained ? a.mean : a.running_mean).template as<A>()[c];
    factor[c] = A(double(a.gamma.as<A>()[c]) * rstd_of(c));
    beta[c] = recompute ? a.beta.as<A>()[c] : A(0);
  }
  for (A* v : {mean, factor, beta}) g.spread(v);
  const Incoming<T> in{x, a.dy.as<T>(), a.passed.as<uint8_t>(), mean, factor, beta, g.c, relu};

  std::fill(sum_g, sum_g + g.c, 0.0);
  std::fill(sum_gx, sum_gx + g.c, 0.0);
  if (wants_dw || (wants_dx && trained)) {
#pragma omp parallel for num_threads(s.threads()) if (!g.small())
    for (int64_t b = 0; b < g.count; ++b) {
      A *sg = partial + b * stride, *sgx = sg + width;
      std::fill(sg, sg + stride, A(0));
      g.groups(b, [&](int64_t offset, int64_t length) {
        A v[kSegment];
        for (int64_t at = 0; at < length; at += kSegment) {
          const int64_t n = std::min(kSegment, length - at), o = offset + at;
          in.masked(o, at, n, v);
#pragma omp simd
          for (int64_t i = 0; i < n; ++i) {
            sg[at + i] += v[i];
            sgx[at + i] += v[i] * (load(x[o + i]) - mean[at + i]);
          }
        }
      });
      g.fold_rows(sg);
      g.fold_rows(sgx);
    }
    fold_blocks(g, partial, stride, sum_g);
    fold_blocks(g, partial + width, stride, sum_gx);
  }
  // dx = γ·rstd·(g − mean(g) − x̂·mean(g·x̂)), with x̂ = (x − mean)·rstd.
  for (int c = 0; c < g.c; ++c) {
    write_weight<A>(a.dgamma, a.dw_mode, c, sum_gx[c] * rstd_of(c));
    write_weight<A>(a.dbeta, a.dw_mode, c, sum_g[c]);
  }
  double rows = double(g.rows);
  if (wants_dx && trained) rows = sum_processes(rows, {sum_g, size_t(g.c)}, {sum_gx, size_t(g.c)});
  for (int c = 0; c < g.c; ++c) {
    const double rstd = rstd_of(c), k = double(a.gamma.as<A>()[c]) * rstd;
    constant[c] = A(k * sum_g[c] / rows);
    linear[c] = A(k * rstd * rstd * sum_gx[c] / rows);
  }
  g.spread(constant);
  g.spread(linear);
  if (!wants_dx && !wants_dresidual) return;

#pragma omp parallel for num_threads(s.threads()) if (!g.small())
  for (int64_t b = 0; b < g.count; ++b) {
    g.groups(b, [&](int64_t offset, int64_t length) {
      A v[kSegment];
      for (int64_t at = 0; at < length; at += kSegment) {
        const int64_t n = std::min(kSegment, length - at), o = offset + at;
        in.masked(o, at, n, v);
        if (wants_dresidual) write(a.dresidual.as<T>() + o, a.dresidual_mode, n, [&](int64_t i) { return v[i]; });
        if (!wants_dx) continue;
        const A *k = factor + at, *k0 = constant + at, *k1 = linear + at, *m = mean + at;
        T* dx = a.dx.as<T>() + o;
        if (trained) {
          write(dx, a.dx_mode, n, [&](int64_t i) { return k[i] * v[i] - k0[i] - k1[i] * (load(x[o + i]) - m[i]); });
        } else {
          write(dx, a.dx_mode, n, [&](int64_t i) { return k[i] * v[i]; });
        }
      }
    });
  }
}

}  // namespace

void check_batchnorm(const BatchNormArgs& a) {
  TT_CHECK(a.x && a.x.shape.numel() > 0, ShapeError, "batchnorm: x is empty: ", to_string(a.x.shape));
  check_like("y", a.y, a.x);
  if (a.residual) check_like("residual", a.residual, a.x);
  check_vector("gamma", a.gamma, a.x);
  check_vector("beta", a.beta, a.x);
  check_vector("running_mean", a.running_mean, a.x);
  check_vector("running_var", a.running_var, a.x);
  check_passed(a.passed, a.x);
  if (a.mean) check_vector("mean", a.mean, a.x);
  if (a.rstd) check_vector("rstd", a.rstd, a.x);
  check_act(a.act);
}

void check_trained(const BatchNormArgs& a) {
  check_batchnorm(a);
  TT_CHECK(a.mean && a.rstd, ShapeError, "batchnorm: training needs mean and rstd to write to");
}

void check_batchnorm(const BatchNormGradArgs& a) {
  TT_CHECK(a.dy && a.dy.shape.numel() > 0, ShapeError, "batchnorm: dy is empty: ", to_string(a.dy.shape));
  const bool trained = bool(a.mean);
  const bool weights = (a.dgamma || a.dbeta) && a.dw_mode != GradMode::ignore;
  const bool recompute = a.act != Act::none && !a.passed;
  if (weights || recompute || (trained && a.dx && a.dx_mode != GradMode::ignore)) check_like("x", a.x, a.dy);
  if (recompute) check_vector("beta", a.beta, a.dy);
  check_passed(a.passed, a.dy);
  if (a.dx) check_like("dx", a.dx, a.dy);
  if (a.dresidual) check_like("dresidual", a.dresidual, a.dy);
  check_vector("gamma", a.gamma, a.dy);
  if (trained) {
    check_vector("mean", a.mean, a.dy);
    check_vector("rstd", a.rstd, a.dy);
  } else {
    check_vector("running_mean", a.running_mean, a.dy);
    check_vector("running_var", a.running_var, a.dy);
  }
  if (a.dgamma) check_vector("dgamma", a.dgamma, a.dy);
  if (a.dbeta) check_vector("dbeta", a.dbeta, a.dy);
  check_act(a.act);
}

namespace cpu {
void batchnorm_forward(Stream& s, const BatchNormArgs& a) {
  cpu::batchnorm_statistics(s, a);
  cpu::batchnorm_apply(s, a);
}
void batchnorm_statistics(Stream& s, const BatchNormArgs& a) {
  check_trained(a);
  visit_float(a.x.dtype, [&](auto tag) { statistics<typename decltype(tag)::type>(s, a); });
}
void batchnorm_apply(Stream& s, const BatchNormArgs& a) {
  check_trained(a);
  visit_float(a.x.dtype, [&](auto tag) { apply<typename decltype(tag)::type>(s, a); });
}
void batchnorm_backward(Stream& s, const BatchNormGradArgs& a) {
  check_batchnorm(a);
  visit_float(a.dy.dtype, [&](auto tag) { backward<typename decltype(tag)::type>(s, a); });
}
}  // namespace cpu

}  // namespace telltale
