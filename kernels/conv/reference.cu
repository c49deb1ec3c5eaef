// The oracle: what the fast convolutions are compared with, and what serves where no library does.
#include "kernels/conv/conv.h"
#include "kernels/device/launch.h"
#include "kernels/parts/math.h"

namespace telltale {
namespace {

/// Walks the taps of one convolution; shapes by value, since functors travel to the device.
struct ConvShape {
  Shape x, w, y;
  ConvGeometry g;
  TT_HD int64_t x_row(int n, int h, int v) const { return ((int64_t(n) * x.h + h) * x.w + v) * x.c; }
  TT_HD int64_t w_row(int k, int r, int s) const { return ((int64_t(k) * w.h + r) * w.w + s) * w.c; }
  TT_HD int64_t y_row(int n, int h, int v) const { return ((int64_t(n) * y.h + h) * y.w + v) * y.c; }
  /// The input coordinate of output `o` at tap `r`; may lie in the padding.
  TT_HD int source(int o, int r) const { return o * g.stride - g.pad + r * g.dilation; }
};

template <class T>
struct ConvForward {
  ConvShape d;
  const T *x, *w, *residual;
  const acc_t<T>* bias;
  T* y;
  Act act;
  TT_HD void operator()(int64_t i) const {
    const int k = int(i % d.y.c), v = int(i / d.y.c % d.y.w), h = int(i / d.y.c / d.y.w % d.y.h),
              n = int(i / d.y.c / d.y.w / d.y.h);
    acc_t<T> sum = 0;
    for (int r = 0; r < d.w.h; ++r) {
      const int row = d.source(h, r);
      if (row < 0 || row >= d.x.h) continue;
      for (int s = 0; s < d.w.w; ++s) {
        const int column = d.source(v, s);
        if (column < 0 || column >= d.x.w) continue;
        const T *px = x + d.x_row(n, row, column), *pw = w + d.w_row(k, r, s);
        for (int c = 0; c < d.x.c; ++c) sum += load(px[c]) * load(pw[c]);
      }
    }
    if (bias) sum += bias[k];
    if (residual) sum += load(residual[i]);
    y[i] = store<T>(activate(act, sum));
  }
};

template <class T>
struct ConvInputGrad {
  ConvShape d;
  const T *w, *dy;
  T* dx;
  bool add;
  TT_HD void operator()(int64_t i) const {
    const int c = int(i % d.x.c), v = int(i / d.x.c % d.x.w), h = int(i / d.x.c / d.x.w % d.x.h),
              n = int(i / d.x.c / d.x.w / d.x.h);
    acc_t<T> sum = 0;
    for (int r = 0; r < d.w.h; ++r) {
      const int up = h + d.g.pad - r * d.g.dilation, row = up / d.g.stride;
      if (up < 0 || up % d.g.stride != 0 || row >= d.y.h) continue;
      for (int s = 0; s < d.w.w; ++s) {
        const int left = v + d.g.pad - s * d.g.dilation, column = left / d.g.stride;
        if (left < 0 || left % d.g.stride != 0 || column >= d.y.w) continue;
        const T* pdy = dy + d.y_row(n, row, column);
        for (int k = 0; k < d.y.c; ++k) sum += load(pdy[k]) * load(w[d.w_row(k, r, s) + c]);
      }
    }
    dx[i] = store<T>(add ? load(dx[i]) + sum : sum);
  }
};

template <class T>
struct ConvFilterGrad {
  ConvShape d;
  const T *x, *dy;
  acc_t<T>* dw;
  bool add;
  TT_HD void operator()(int64_t i) const {
    const int c = int(i % d.w.c), s = int(i / d.w.c % d.w.w), r = int(i / d.w.c / d.w.w % d.w.h),
              k = int(i / d.w.c / d.w.w / d.w.h);
    acc_t<T> sum = 0;
    for (int n = 0; n < d.y.n; ++n) {
      for (int h = 0; h < d.y.h; ++h) {
        const int row = d.source(h, r);
        if (row < 0 || row >= d.x.h) continue;
        for (int v = 0; v < d.y.w; ++v) {
          const int column = d.source(v, s);
          if (column < 0 || column >= d.x.w) continue;
          sum += load(x[d.x_row(n, row, column) + c]) * load(dy[d.y_row(n, h, v) + k]);
        }
      }
    }
    dw[i] = add ? dw[i] + sum : sum;
  }
};

template <class T>
struct ConvBiasGrad {
  int64_t rows;
  int channels;
  const T* dy;
  acc_t<T>* dbias;
  bool add;
  TT_HD void operator()(int64_t k) const {
    acc_t<T> sum = 0;
    for (int64_t r = 0; r < rows; ++r) sum += load(dy[r * channels + k]);
    dbias[k] = add ? dbias[k] + sum : sum;
  }
};

}  // namespace

namespace ref {

void conv_forward(Stream& s, const ConvArgs& a) {
  check(a);
  visit_float(a.x.dtype, [&]<class T>(Tag<T>) {
    for_each(s, a.y.shape.numel(),
             ConvForward<T>{{a.x.shape, a.w.shape, a.y.shape, a.geometry},
                            a.x.as<T>(),
                            a.w.as<T>(),
                            a.residual.as<T>(),
                            a.bias.as<acc_t<T>>(),
                            a.y.as<T>(),
                            a.act});
  });
}

void conv_backward(Stream& s, const ConvGradArgs& a) {
  check(a);
  const ConvShape d{a.x.shape, a.w.shape, a.dy.shape, a.geometry};
  const bool add_dx = a.dx_mode == GradMode::accumulate, add_dw = a.dw_mode == GradMode::accumulate;
  visit_float(a.x.dtype, [&]<class T>(Tag<T>) {
    using A = acc_t<T>;
    const T* dy = a.dy.as<T>();
    if (a.dx && a.dx_mode != GradMode::ignore)
      for_each(s, a.dx.shape.numel(), ConvInputGrad<T>{d, a.w.as<T>(), dy, a.dx.as<T>(), add_dx});
    if (a.dw_mode == GradMode::ignore) return;
    if (a.dw) for_each(s, a.dw.shape.numel(), ConvFilterGrad<T>{d, a.x.as<T>(), dy, a.dw.as<A>(), add_dw});
    if (a.dbias) for_each(s, d.y.c, ConvBiasGrad<T>{d.y.rows(), d.y.c, dy, a.dbias.as<A>(), add_dw});
  });
}

}  // namespace ref

#if !TT_CUDNN
namespace cuda {
void conv_forward(Stream& s, const ConvArgs& a) { ref::conv_forward(s, a); }
void conv_backward(Stream& s, const ConvGradArgs& a) { ref::conv_backward(s, a); }
size_t conv_packed_bytes(Stream&, const ConvArgs&) { return 0; }
void conv_pack(Stream&, const ConvArgs&, Tensor) {}
}  // namespace cuda
#endif

}  // namespace telltale
