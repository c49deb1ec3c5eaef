#include "kernels/core/launch.h"
#include "kernels/core/math.h"
#include "kernels/gated_conv.h"

namespace telltale {
namespace {

template <class T>
struct GateForward {
  int64_t channels;
  const T* z;
  T* y;
  Act act;
  TT_HD void operator()(int64_t i) const {
    const T* value = z + i / channels * 2 * channels + i % channels;
    y[i] = store<T>(activate(act, load(value[0])) * sigmoid(load(value[channels])));
  }
};

template <class T>
struct GateBackward {
  int64_t channels;
  const T *z, *dy;
  T* dz;
  Act act;
  TT_HD void operator()(int64_t i) const {
    const int64_t at = i / channels * 2 * channels + i % channels;
    // Both of this element's inputs are read before either slope is written, so dz may be z.
    const acc_t<T> a = activate(act, load(z[at])), g = sigmoid(load(z[at + channels])), d = load(dy[i]);
    dz[at] = store<T>(d * g * activation_slope(act, a));
    dz[at + channels] = store<T>(d * a * activation_slope(Act::sigmoid, g));
  }
};

void check(const GateArgs& a, const char* name, const Tensor& half) {
  const Shape expected{a.z.shape.n, a.z.shape.h, a.z.shape.w, a.z.shape.c / 2};
  TT_CHECK(a.z.shape.c % 2 == 0, ShapeError, "gate: z ", to_string(a.z.shape), " must have an even number of channels");
  TT_CHECK(half.shape == expected && half.dtype == a.z.dtype, ShapeError, "gate: ", name, " is ", to_string(half.shape),
           " ", name_of(half.dtype), ", expected ", to_string(expected), " ", name_of(a.z.dtype));
}

}  // namespace

void gate_forward(Stream& s, const GateArgs& a) {
  check(a, "y", a.y);
  visit_float(a.z.dtype, [&]<class T>(Tag<T>) {
    for_each(s, a.y.shape.numel(), GateForward<T>{a.y.shape.c, a.z.as<T>(), a.y.as<T>(), a.act});
  });
}

void gate_backward(Stream& s, const GateArgs& a) {
  check(a, "dy", a.dy);
  TT_CHECK(a.dz.shape == a.z.shape && a.dz.dtype == a.z.dtype, ShapeError, "gate: dz is ", to_string(a.dz.shape), " ",
           name_of(a.dz.dtype), ", expected ", to_string(a.z.shape), " ", name_of(a.z.dtype));
  visit_float(a.z.dtype, [&]<class T>(Tag<T>) {
    for_each(s, a.dy.shape.numel(), GateBackward<T>{a.dy.shape.c, a.z.as<T>(), a.dy.as<T>(), a.dz.as<T>(), a.act});
  });
}

}  // namespace telltale
