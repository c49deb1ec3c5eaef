#include "kernels/attention/device.h"

namespace telltale::cuda {
namespace {

/// gradient[q, l] (+)= Σ_d from[q+d, l+d], zero outside the image.
template <class A>
struct AddDiagonals {
  SumDiagonals<A> sum;
  bool add;
  TT_HD void operator()(int64_t index) const {
    const A before = add ? sum.to[index] : A(0);
    sum(index);
    sum.to[index] += before;
  }
};

/// One block per row [n, q]: gradient = scale · a · (gradient − Σ_l a·gradient); where a source is invalid a is 0.
template <class A>
struct SoftmaxGradient {
  struct Shared {
    A fold[kSoftmaxLanes];
  };
  const A* attention;
  A* gradient;
  int places;
  A scale;
  TT_HD void operator()(const Block<kSoftmaxLanes>& block, Shared& shared) const {
    const A* a = attention + block.index * places;
    A* g = gradient + block.index * places;
    auto part = block.template lane<A>(0);
    block.each([&](int t) {
      for (int l = t; l < places; l += kSoftmaxLanes) part[t] += a[l] * g[l];
    });
    const A mean = block.sum(part, shared.fold);
    block.each([&](int t) {
      for (int l = t; l < places; l += kSoftmaxLanes) g[l] = scale * a[l] * (g[l] - mean);
    });
  }
};

/// Per source [n, l], with scores = r·inverse_norm: the gradient of |p_l|².
template <class A>
struct NormGradient {
  const A *gradient, *scores, *inverse_norm;
  A* norm_gradients;
  int places;
  bool clamped;
  TT_HD void operator()(int64_t index) const {
    const int64_t n = divide(index, places), first = n * places * places + (index - n * places);
    A sum = 0;
    for (int64_t q = 0; q < places; ++q) sum += gradient[first + q * places] * scores[first + q * places];
    norm_gradients[index] = inverse_norm_gradient(inverse_norm[index], clamped) * sum;
  }
};

/// Gradient of the products of pixels: r and, on the diagonal, |p|² are sums of them.
template <class A>
struct MatchGradient {
  const A *gradient, *inverse_norm, *norm_gradients;
  A* to;
  int h, w;
  TT_HD void operator()(int64_t index) const {
    const int places = h * w;
    const Element e(index, places);
    const int qi = e.q / w, qj = e.q % w, li = e.l / w, lj = e.l % w;
    const int64_t first = int64_t(e.n) * places;
    A sum = 0;
    for (int di = -1; di <= 1; ++di) {
      for (int dj = -1; dj <= 1; ++dj) {
        if (li + di < 0 || li + di >= h || lj + dj < 0 || lj + dj >= w) continue;
        const int shift = di * w + dj;
        const int64_t source = first + e.l + shift;
        if (qi + di >= 0 && qi + di < h && qj + dj >= 0 && qj + dj < w)
          sum += gradient[e.base + int64_t(e.q + shift) * places + e.l + shift] * inverse_norm[source];
        if (e.q == e.l) sum += norm_gradients[source];
      }
    }
    to[index] = sum;
  }
};

/// The steps of the host's Backward, for the whole batch.
template <class T>
class Backward : AttentionOnDevice<T> {
 public:
  using typename AttentionOnDevice<T>::A;
  using AttentionOnDevice<T>::AttentionOnDevice;

  void run(const AttentionGradArgs& a) {
    const AttentionPlan& plan = this->plan_;
    A *gradient = this->part(plan.gradient), *other = this->part(plan.fused);
    A *phase_gradients = this->part(plan.phase_gradients), *norm_gradients = this->part(plan.norm_gradients);
    const A* inverse_norm = this->part(plan.inverse_norm);
    Stream& s = this->stream_;
    const int places = int(plan.places), h = this->h_, w = this->w_;

    this->attend(a.x, a.mask, a.scale);
    this->template phases<Move::split>(a.dy, this->part(plan.painted));
    for (int p = 0; p < kPhases; ++p) through_paste(p);
    launch<kSoftmaxLanes>(s, plan.samples * plan.places,
                          SoftmaxGradient<A>{this->part(plan.attention), gradient, places, A(a.scale)});
    if (this->form_.fused) {
      for_each(s, this->elements(), Fuse<A, Pass::backward>{gradient, other, h, w});
      std::swap(gradient, other);
    }
    for_each(
        s, plan.samples * plan.places,
        NormGradient<A>{gradient, this->part(plan.scores), inverse_norm, norm_gradients, places, this->form_.clamped});
    for_each(s, this->elements(), MatchGradient<A>{gradient, inverse_norm, norm_gradients, other, h, w});
    through_match(other);
    if (a.dx_mode == GradMode::accumulate) {
      this->template phases<Move::add>(a.dx, phase_gradients);
    } else {
      this->template phases<Move::merge>(a.dx, phase_gradients);
    }
  }

 private:
  /// Shrunk x's gradient grows by (g + gᵀ)·x, g of the products of its pixels, which lie at `gradient`.
  void through_match(A* gradient) {
    const AttentionPlan& plan = this->plan_;
    const bool aligned = this->form_.aligned;
    A* behind = this->part(plan.painted) + this->matched_elements();  // behind shrunk x
    const PlacesOperand x = this->matched();
    const PlacesOperand to =
        aligned ? PlacesOperand{behind, plan.places * this->c_} : this->phase(plan.phase_gradients, 0);
    for (const bool transpose : {false, true}) {
      this->multiply({.a = {gradient, plan.matrix},
                      .b = x,
                      .c = to,
                      .n = this->c_,
                      .k = plan.places,
                      .transpose_a = transpose,
                      .add = transpose || !aligned});
    }
    if (aligned)
      for_each(
          this->stream_, this->matched_elements(),
          Matched<A, Match::scatter>{this->part(plan.phase_gradients), behind, this->h_, this->w_, this->c_, true});
  }

  void through_paste(int p) {
    const AttentionPlan& plan = this->plan_;
    A *fused = this->part(plan.fused), *gradient = this->part(plan.gradient);
    const int h = this->h_, w = this->w_;
    for_each(this->stream_, this->elements(),
             SumDiagonals<A>{this->part(plan.attention), nullptr, fused, h, w, paste_window(p)});
    const PlacesOperand x = this->phase(plan.phases, p), dy = this->phase(plan.painted, p);
    this->multiply({.a = this->matrices(plan.fused),
                    .b = dy,
                    .c = this->phase(plan.phase_gradients, p),
                    .n = this->c_,
                    .k = plan.places,
                    .transpose_a = true,
                    .alpha = 0.25});
    this->multiply({.a = dy,
                    .b = x,
                    .c = this->matrices(plan.fused),
                    .n = plan.places,
                    .k = this->c_,
                    .transpose_b = true,
                    .alpha = 0.25});
    for_each(this->stream_, this->elements(),
             AddDiagonals<A>{{fused, nullptr, gradient, h, w, mirrored(paste_window(p))}, p > 0});
  }
};

}  // namespace

size_t attention_backward_scratch_bytes(const Shape& x, DType dtype) {
  return AttentionPlan(x, x.n, Pass::backward).bytes(dtype);
}

void attention_backward(Stream& s, const AttentionGradArgs& a) {
  if (a.dx_mode == GradMode::ignore) return;
  check(a, attention_backward_scratch_bytes(a.x.shape, a.x.dtype));
  if (a.x.shape.numel() == 0) return;
  const AttentionPlan plan(a.x.shape, a.x.shape.n, Pass::backward);
  check_places(a.x, plan);
  visit_float(a.x.dtype, [&](auto tag) { Backward<typename decltype(tag)::type>(s, a.scratch, plan, a.form).run(a); });
}

}  // namespace telltale::cuda
