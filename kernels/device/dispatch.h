#pragma once
// From run-time values to compile-time ones: which twin runs, and which element type.
#include "base/check.h"
#include "kernels/device/half.h"
#include "kernels/device/stream.h"

/// Runs `cuda::call` on a stream of device bodies (a GPU, or the host emulating one), else `cpu::call`.
#define TT_DISPATCH(s, call) ((s).device_bodies() ? cuda::call : cpu::call)

namespace telltale {

/// Calls f(Tag<T>{}) with the floating-point type named by t; throws ShapeError for integers.
template <class F>
decltype(auto) visit_float(DType t, F&& f) {
  switch (t) {
    case DType::f32: return f(Tag<float>{});
    case DType::f64: return f(Tag<double>{});
    case DType::bf16: return f(Tag<bf16>{});
    case DType::f16: return f(Tag<f16>{});
    default: break;
  }
  throw ShapeError(cat("expected a floating-point tensor, got ", name_of(t)));
}

}  // namespace telltale
