// Backward of contextual attention on the host. With a = attention, s = scores, g = a gradient, each step turns the
// gradient of one matrix of forward into that of the one before; scores and attention are computed anew.
#include "kernels/attention/host.h"

namespace telltale::cpu {
namespace {

template <class T>
class Backward : AttentionOnHost<T> {
 public:
  using typename AttentionOnHost<T>::A;
  Backward(Stream& s, const AttentionGradArgs& a, const AttentionPlan& plan)
      : AttentionOnHost<T>(s, a.scratch, plan, a.scale, a.form),
        args_(a),
        gradient_(this->part(plan.gradient)),
        phase_gradients_(this->part(plan.phase_gradients)),
        norm_gradients_(this->part(plan.norm_gradients)) {}

  void run(int sample) {
    this->split(args_.x, sample, this->phases_);
    this->find_valid(args_.mask, sample);
    this->match();
    this->attend();
    this->split(args_.dy, sample, this->painted_);  // only now: matching may have used that memory
    through_paste();
    through_softmax();
    if (this->form_.fused) through_fuses();
    through_norm();
    through_match();
    this->merge(phase_gradients_, args_.dx, sample, args_.dx_mode == GradMode::accumulate);
  }

 private:
  /// y_p = ¼ B_p·x_p with B_p the attention summed along diagonals: gives all of x the pasted patches' share, and
  /// gradient that of the attention.
  void through_paste() {
    const AttentionPlan& plan = this->plan_;
    std::fill_n(gradient_, plan.matrix, A(0));
    for (int p = 0; p < kPhases; ++p) {
      const A *x = this->phase(this->phases_, p), *dy = this->phase(this->painted_, p);
      this->each_row(plan.places, [&](int64_t q) {
        this->sum_diagonals(this->attention_, this->fused_ + q * plan.places, q, paste_window(p));
      });
      this->multiply({.a = this->fused_,
                      .b = dy,
                      .c = this->phase(phase_gradients_, p),
                      .n = plan.channels,
                      .k = plan.places,
                      .transpose_a = true,
                      .alpha = 0.25});
      this->multiply({.a = dy,
                      .b = x,
                      .c = this->fused_,
                      .n = plan.places,
                      .k = plan.channels,
                      .transpose_b = true,
                      .alpha = 0.25});
      this->each_row(plan.places, [&](int64_t q) {
        this->add_diagonals(this->fused_, gradient_ + q * plan.places, q, mirrored(paste_window(p)));
      });
    }
  }

  /// g = scale · a · (g − Σ_l a·g): where a source is invalid a is 0, and so is its gradient.
  void through_softmax() {
    const int64_t places = this->plan_.places;
    this->each_row(places, [&](int64_t q) {
      const A* a = this->attention_ + q * places;
      A *g = gradient_ + q * places, sum = 0;
#pragma omp simd reduction(+ : sum)
      for (int64_t l = 0; l < places; ++l) sum += a[l] * g[l];
      for (int64_t l = 0; l < places; ++l) g[l] = this->scale_ * a[l] * (g[l] - sum);
    });
  }

  void through_fuses() {
    const int64_t places = this->plan_.places;
    this->each_row(places, [&](int64_t q) { this->fuse_columns(gradient_, q, this->fused_ + q * places); });
    this->each_row(places, [&](int64_t q) { this->fuse_rows(this->fused_, q, gradient_ + q * places); });
  }

  /// s = r·inverse_norm[l]: norm_gradients = d/d |p_l|² = −½ inverse_norm² Σ_q g·s, and gradient that of r.
  void through_norm() {
    const int64_t places = this->plan_.places, block = 64;
    this->each_row(ceil_div(places, block), [&](int64_t b) {
      const int64_t first = b * block, last = std::min(first + block, places);
      std::fill(norm_gradients_ + first, norm_gradients_ + last, A(0));
      for (int64_t q = 0; q < places; ++q) {
        A* g = gradient_ + q * places;
        const A* s = this->scores_ + q * places;
        for (int64_t l = first; l < last; ++l) {
          norm_gradients_[l] += g[l] * s[l];
          g[l] *= this->inverse_norm_[l];
        }
      }
      for (int64_t l = first; l < last; ++l)
        norm_gradients_[l] *= inverse_norm_gradient(this->inverse_norm_[l], this->form_.clamped);
    });
  }

  /// r and |p|² are sums of the products of shrunk x with itself: its gradient grows by (g + gᵀ)·x.
  void through_match() {
    const AttentionPlan& plan = this->plan_;
    this->each_row(plan.places, [&](int64_t q) {
      A* row = this->fused_ + q * plan.places;
      this->sum_diagonals(gradient_, row, q, kPatchWindow);
      this->each_neighbour(q, [&](int64_t l) { row[q] += norm_gradients_[l]; });
    });
    const bool aligned = this->form_.aligned;
    A* gradients = aligned ? this->phase(this->painted_, 1) : phase_gradients_;  // phase 0 of painted holds shrunk x
    const A* matched = this->matched();
    for (const bool transpose : {false, true}) {
      this->multiply({.a = this->fused_,
                      .b = matched,
                      .c = gradients,
                      .n = plan.channels,
                      .k = plan.places,
                      .transpose_a = transpose,
                      .add = transpose || !aligned});
    }
    if (!aligned) return;
    this->each_matched(phase_gradients_, gradients, [&](A* to, const A* from) {
      for (int c = 0; c < plan.channels; ++c) to[c] += from[c];
    });
  }

  const AttentionGradArgs& args_;
  A *gradient_, *phase_gradients_, *norm_gradients_;
};

}  // namespace

size_t attention_backward_scratch_bytes(const Shape& x, DType dtype) {
  return AttentionPlan(x, 1, Pass::backward).bytes(dtype);
}

void attention_backward(Stream& s, const AttentionGradArgs& a) {
  if (a.dx_mode == GradMode::ignore) return;
  check(a, attention_backward_scratch_bytes(a.x.shape, a.x.dtype));
  if (a.x.shape.numel() == 0) return;
  const AttentionPlan plan(a.x.shape, 1, Pass::backward);
  visit_float(a.x.dtype, [&](auto tag) {
    Backward<typename decltype(tag)::type> backward(s, a, plan);
    for (int sample = 0; sample < a.x.shape.n; ++sample) backward.run(sample);
  });
}

}  // namespace telltale::cpu
