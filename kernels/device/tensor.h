#pragma once
// What every floor shares: element types, NHWC shapes and non-owning views.
#include <cstddef>
#include <cstdint>
#include <string>
#ifdef __CUDACC__
#define TT_HD __host__ __device__
#else
#define TT_HD
#endif

namespace telltale {

/// Element types. f64 exists for gradient checks: every layer, loss and net also runs in it.
enum class DType : uint8_t { f32, bf16, f16, f64, u8, i32 };
/// Activations that kernels can fuse into an epilogue.
enum class Act : uint8_t { none, relu, elu, sigmoid, tanh };
/// What a backward kernel does with a gradient: nothing (frozen), assign (first consumer), add (later ones).
enum class GradMode : uint8_t { ignore, overwrite, accumulate };

/// Bytes of one element.
TT_HD constexpr size_t size_of(DType t) {
  return t == DType::f64 ? 8 : t == DType::f32 || t == DType::i32 ? 4 : t == DType::u8 ? 1 : 2;
}
/// "f32", "bf16", …
const char* name_of(DType t);
/// The type sums, statistics, biases and parameters' masters use beside `t`: f64 for f64, else f32.
TT_HD constexpr DType accumulator_of(DType t) { return t == DType::f64 ? DType::f64 : DType::f32; }

/// Always NHWC. A per-channel vector is {1,1,1,C}; a filter is {K,R,S,C} (out, rows, columns, in).
struct Shape {
  int n = 1, h = 1, w = 1, c = 1;
  TT_HD int64_t numel() const { return int64_t(n) * h * w * c; }
  /// Pixels of the whole batch: n·h·w.
  TT_HD int64_t rows() const { return int64_t(n) * h * w; }
  bool operator==(const Shape&) const = default;
};
/// "[8,64,64,3]"
std::string to_string(const Shape& s);

/// A view: trivially copyable, owns nothing. A null `data` means "absent" wherever a declaration says optional.
struct Tensor {
  void* data = nullptr;
  Shape shape{0, 0, 0, 0};
  DType dtype = DType::f32;
  template <class T>
  TT_HD T* as() const {
    return static_cast<T*>(data);
  }
  TT_HD explicit operator bool() const { return data != nullptr; }
  TT_HD size_t bytes() const { return size_t(shape.numel()) * size_of(dtype); }
};

/// What changes from step to step. It lives in device memory: a captured step freezes its kernel arguments.
struct StepState {
  int64_t step = 0;          ///< 1 for the first optimiser step
  float lr = 0;              ///< learning rate of this step
  float loss_scale = 1;      ///< multiplies every gradient; the optimiser divides it out
  uint32_t seed = 0;         ///< keys dropout
  uint32_t overflow = 0;     ///< set by the finite check; the optimiser then skips the step
  float samples = 1;         ///< samples in the effective batch (all accumulated micro-batches)
  float positives = 1;       ///< samples with label 1 in the effective batch; 0 when there are none
  uint32_t micro_batch = 0;  ///< index of the micro-batch within the step: dropout draws anew for each
};

}  // namespace telltale
