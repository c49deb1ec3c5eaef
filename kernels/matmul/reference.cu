// The oracle of the matrix products: one thread per output, sums in index order.
#include "kernels/device/launch.h"
#include "kernels/matmul/matmul.h"
#include "kernels/parts/math.h"

namespace telltale {
namespace {

template <class T>
struct LinearForward {
  int64_t in, out;
  const T *x, *w;
  const acc_t<T>* bias;
  T* y;
  Act act;
  TT_HD void operator()(int64_t i) const {
    const T *px = x + i / out * in, *pw = w + i % out * in;
    acc_t<T> sum = 0;
    for (int64_t k = 0; k < in; ++k) sum += load(px[k]) * load(pw[k]);
    if (bias) sum += bias[i % out];
    y[i] = store<T>(activate(act, sum));
  }
};

template <class T>
struct LinearInputGrad {
  int64_t in, out;
  const T *w, *dy;
  T* dx;
  bool add;
  TT_HD void operator()(int64_t i) const {
    const int64_t n = i / in, c = i % in;
    acc_t<T> sum = 0;
    for (int64_t o = 0; o < out; ++o) sum += load(dy[n * out + o]) * load(w[o * in + c]);
    dx[i] = store<T>(add ? load(dx[i]) + sum : sum);
  }
};

template <class T>
struct LinearWeightGrad {
  int64_t batch, in, out;
  const T *x, *dy;
  acc_t<T>* dw;
  bool add;
  TT_HD void operator()(int64_t i) const {
    const int64_t o = i / in, c = i % in;
    acc_t<T> sum = 0;
    for (int64_t n = 0; n < batch; ++n) sum += load(dy[n * out + o]) * load(x[n * in + c]);
    dw[i] = add ? dw[i] + sum : sum;
  }
};

template <class T>
struct LinearBiasGrad {
  int64_t batch, out;
  const T* dy;
  acc_t<T>* dbias;
  bool add;
  TT_HD void operator()(int64_t o) const {
    acc_t<T> sum = 0;
    for (int64_t n = 0; n < batch; ++n) sum += load(dy[n * out + o]);
    dbias[o] = add ? dbias[o] + sum : sum;
  }
};

template <class T>
struct Gemm {
  GemmArgs g;
  TT_HD void operator()(int64_t i) const {
    const int64_t column = i % g.n, row = i / g.n % g.m, which = i / g.n / g.m;
    const T *a = static_cast<const T*>(g.a) + which * g.stride_a, *b = static_cast<const T*>(g.b) + which * g.stride_b;
    T sum = 0;
    for (int64_t k = 0; k < g.k; ++k)
      sum += (g.transpose_a ? a[k * g.lda + row] : a[row * g.lda + k]) *
             (g.transpose_b ? b[column * g.ldb + k] : b[k * g.ldb + column]);
    T& c = static_cast<T*>(g.c)[which * g.stride_c + row * g.ldc + column];
    // beta = 0 assigns: c may hold anything, NaN too.
    c = T(g.alpha) * sum + (g.beta == 0 ? T(0) : T(g.beta) * c);
  }
};

}  // namespace

namespace ref {

void linear_forward(Stream& s, const LinearArgs& a) {
  check(a);
  visit_float(a.x.dtype, [&]<class T>(Tag<T>) {
    const int64_t out = a.y.shape.c, in = a.w.shape.numel() / out;
    for_each(s, a.y.shape.numel(),
             LinearForward<T>{in, out, a.x.as<T>(), a.w.as<T>(), a.bias.as<acc_t<T>>(), a.y.as<T>(), a.act});
  });
}

void linear_backward(Stream& s, const LinearGradArgs& a) {
  check(a);
  visit_float(a.x.dtype, [&]<class T>(Tag<T>) {
    using A = acc_t<T>;
    const int64_t batch = a.dy.shape.n, out = a.dy.shape.c, in = a.w.shape.numel() / out;
    const T *x = a.x.as<T>(), *w = a.w.as<T>(), *dy = a.dy.as<T>();
    const bool add = a.dw_mode == GradMode::accumulate;
    if (a.dx && a.dx_mode != GradMode::ignore)
      for_each(s, batch * in, LinearInputGrad<T>{in, out, w, dy, a.dx.as<T>(), a.dx_mode == GradMode::accumulate});
    if (a.dw_mode == GradMode::ignore) return;
    if (a.dw) for_each(s, out * in, LinearWeightGrad<T>{batch, in, out, x, dy, a.dw.as<A>(), add});
    if (a.dbias) for_each(s, out, LinearBiasGrad<T>{batch, out, dy, a.dbias.as<A>(), add});
  });
}

void gemm(Stream& s, const GemmArgs& a) {
  check(a);
  if (a.dtype == DType::f64) {
    for_each(s, a.batch * a.m * a.n, Gemm<double>{a});
  } else {
    for_each(s, a.batch * a.m * a.n, Gemm<float>{a});
  }
}

}  // namespace ref

#if !TT_CUBLAS
namespace cuda {
void linear_forward(Stream& s, const LinearArgs& a) { ref::linear_forward(s, a); }
void linear_backward(Stream& s, const LinearGradArgs& a) { ref::linear_backward(s, a); }
void gemm(Stream& s, const GemmArgs& a) { ref::gemm(s, a); }
}  // namespace cuda
#endif

}  // namespace telltale
