#pragma once
// What oneDNN must be told once for every convolution it runs, kept for the next call of the same shapes.
#include <array>
#include <map>
#include <oneapi/dnnl/dnnl.hpp>
#include <unordered_map>
#include <utility>

#include "kernels/conv/conv.h"

namespace telltale {

/// Everything a primitive is made for; equal problems share one plan. Sums, biases and filters' gradients are f32.
struct ConvProblem {
  enum class Kind : uint8_t { forward, input_grad, filter_grad };
  Kind kind;
  Shape x, w, y;  ///< of the convolution, also for its gradients; w is {K,R,S,C}
  int stride, dilation, pad_h, pad_w;
  DType type = DType::f32;  ///< of activations and filters: f32, or bf16
  Act act = Act::none;
  bool bias = false;
  bool add = false;  ///< to what the result holds: before the activation, or to the gradient
  /// forward only: the filter is packed once for many calls, so that the form it takes may cost something.
  bool packed = false;
  /// forward only: the filter lies as {C,R,S,K} of the convolution whose input gradient this is, to be read with in and
  /// out swapped and its taps turned round.
  bool turned = false;
};

/// One tensor of a primitive: as the caller lays it out, and as the primitive wants it. Most often the same memory.
struct ConvOperand {
  dnnl::memory plain, inner;
  bool differs = false;
  size_t offset = 0;  ///< where in the plan's scratch inner lies, if they differ

  /// Names the memory of a call.
  void bind(void* data, char* scratch);
  /// Copies source to target, one of them plain and the other inner, where they differ.
  void convert(dnnl::stream& stream, const dnnl::memory& source, const dnnl::memory& target);

  dnnl::reorder copy;
  dnnl::memory from, to;
  /// A filter whose taps are turned round first, into the plan's scratch.
  struct Turn {
    int filters = 0, taps = 0;
    size_t tap_bytes = 0, offset = 0;
    size_t bytes() const { return size_t(filters) * size_t(taps) * tap_bytes; }
    char* data = nullptr;
  } turn;
  /// A filter that Winograd transforms ahead comes from this order only; empty for everything else.
  dnnl::memory::desc stopover;
};

/// A primitive with its memory objects: result = f(first, second). Forward: x, filter → y. Input gradient: dy, filter →
/// dx. Filter gradient: x, dy → dw.
struct ConvPlan {
  ConvOperand first, second, result;
  ConvOperand addend;  ///< what a forward result is added to, if result lies elsewhere: its memory, its layouts
  dnnl::memory bias, scratchpad;
  size_t bytes = 0;              ///< of scratch a call needs, aligned to 64
  size_t scratchpad_offset = 0;  ///< of oneDNN's own part
  DType type = DType::f32;       ///< as the problem says
  bool naive = false;            ///< oneDNN has but a reference implementation, or (bf16) none
  dnnl::primitive primitive;
  std::unordered_map<int, dnnl::memory> arguments;

  /// Runs on a call's memory, converting what must be; a packed filter comes as the primitive wants it already.
  void run(dnnl::stream& stream, char* scratch, void* first_data, void* second_data, void* result_data,
           bool packed = false);
};

/// Chooses algorithm and layouts, by shape alone; places nothing yet. Throws dnnl::error.
ConvPlan build_plan(const ConvProblem& problem, const dnnl::engine& engine);

/// The plans of one stream.
class ConvPlans {
 public:
  /// Makes the plan on first use; throws DeviceError with oneDNN's words when it can't (in bf16 the plan is then
  /// naive).
  ConvPlan& find(const ConvProblem& problem, int threads);
  dnnl::stream& stream() { return stream_; }

 private:
  dnnl::engine engine_{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream_{engine_};
  std::map<std::array<int, 18>, ConvPlan> plans_;
};

}  // namespace telltale
