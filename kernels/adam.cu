// Adam in two kernels: one lane works out the step's constants in double, then one pass reads and writes each
// parameter's numbers once.
#include <cmath>

#include "kernels/adam.h"
#include "kernels/device/launch.h"
#include "kernels/parts/chunk.h"

namespace telltale {
namespace {

/// What is the same for every parameter of a step.
struct AdamStep {
  double step_size;        ///< lr / (1 − β1ᵗ)
  double root_correction;  ///< √(1 − β2ᵗ)
  double inverse_scale;
  bool skip;
};

struct PrepareAdam {
  AdamStep* to;
  const StepState* state;
  double beta1, beta2;
  TT_HD void operator()(int64_t) const {
    const double t = double(state->step);
    to->step_size = double(state->lr) / (1 - pow(beta1, t));
    to->root_correction = sqrt(1 - pow(beta2, t));
    to->inverse_scale = 1 / double(state->loss_scale);
    to->skip = state->overflow != 0;
  }
};

template <class A, class S>
struct AdamUpdate {
  FlatChunks chunks;
  A* master;
  const A* grad;
  A *m, *v;
  S* shadow;  // may be null
  const AdamStep* step;
  A beta1, beta2, rest1, rest2, eps, weight_decay;  // rest = 1 − β
  bool aligned;
  TT_HD void operator()(int64_t i) const {
    if (step->skip) return;
    const int64_t o = chunks.offset(i);
    const int n = chunks.size(i);
    const A step_size = A(step->step_size), root_correction = A(step->root_correction),
            inverse_scale = A(step->inverse_scale);
    Chunk<A> w = load_chunk(master + o, n, aligned), mean = load_chunk(m + o, n, aligned),
             square = load_chunk(v + o, n, aligned);
    const Chunk<A> gradient = load_chunk(grad + o, n, aligned);
    each_in_chunk([&](int k) {
      const A g = gradient[k] * inverse_scale + weight_decay * w[k];
      mean[k] = beta1 * mean[k] + rest1 * g;
      square[k] = beta2 * square[k] + rest2 * g * g;
      w[k] -= step_size * mean[k] / (A(sqrt(square[k])) / root_correction + eps);
    });
    store_chunk(master + o, w, n, aligned);
    store_chunk(m + o, mean, n, aligned);
    store_chunk(v + o, square, n, aligned);
    if (!shadow) return;
    Chunk<acc_t<S>> rounded;
    each_in_chunk([&](int k) { rounded[k] = acc_t<S>(w[k]); });
    store_chunk(shadow + o, rounded, n, aligned);
  }
};

template <class A, class S>
void update(Stream& s, const AdamArgs& a) {
  AdamStep* step = s.workspace(sizeof(AdamStep)).as<AdamStep>();
  for_each(s, 1, PrepareAdam{step, a.state, a.beta1, a.beta2});
  const FlatChunks chunks{a.count};
  const bool aligned = all_aligned({a.master.data, a.grad.data, a.m.data, a.v.data, a.shadow.data});
  for_each(
      s, chunks.count(),
      AdamUpdate<A, S>{chunks, a.master.as<A>(), a.grad.as<A>(), a.m.as<A>(), a.v.as<A>(), a.shadow.as<S>(), step,
                       A(a.beta1), A(a.beta2), A(1 - a.beta1), A(1 - a.beta2), A(a.eps), A(a.weight_decay), aligned});
}

}  // namespace

void adam(Stream& s, const AdamArgs& a) {
  for (const Tensor& t : {a.master, a.grad, a.m, a.v}) {
    TT_CHECK(t && t.shape.numel() >= a.count && t.dtype == a.master.dtype, ShapeError, "adam: ", to_string(t.shape),
             " of ", name_of(t.dtype), " can't hold ", a.count, " elements of ", name_of(a.master.dtype));
  }
  TT_CHECK(!a.shadow || a.shadow.shape.numel() >= a.count, ShapeError, "adam: the shadow ", to_string(a.shadow.shape),
           " can't hold ", a.count, " elements");
  TT_CHECK(a.state, ShapeError, "adam: needs the step's state");
  const DType shadow = a.shadow ? a.shadow.dtype : DType::bf16;
  if (a.master.dtype == DType::f64) {
    TT_CHECK(!a.shadow, ShapeError, "adam: a f64 program keeps no shadow");
    return update<double, bf16>(s, a);
  }
  TT_CHECK(a.master.dtype == DType::f32, ShapeError, "adam: master must be f32 or f64, got ", name_of(a.master.dtype));
  TT_CHECK(shadow == DType::bf16 || shadow == DType::f16, ShapeError, "adam: the shadow must be bf16 or f16, got ",
           name_of(shadow));
  if (shadow == DType::bf16) return update<float, bf16>(s, a);
  update<float, f16>(s, a);
}

}  // namespace telltale
