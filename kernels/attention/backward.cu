#include "kernels/attention/device.h"

namespace telltale::cuda {
namespace {

/// slope[q, l] (+)= Σ_d from[q+d, l+d], zero outside the image.
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

/// One block per row [n, q]: slope = scale · a · (slope − Σ_l a·slope); where a source is invalid a is 0.
template <class A>
struct SoftmaxSlope {
  struct Shared {
    A fold[kSoftmaxLanes];
  };
  const A* attention;
  A* slope;
  int places;
  A scale;
  TT_HD void operator()(const Block<kSoftmaxLanes>& block, Shared& shared) const {
    const A* a = attention + block.index * places;
    A* g = slope + block.index * places;
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

/// Per source [n, l], with scores = r·inverse_norm: the slope of |p_l|².
template <class A>
struct NormSlope {
  const A *slope, *scores, *inverse_norm;
  A* norm_slopes;
  int places;
  bool clamped;
  TT_HD void operator()(int64_t index) const {
    const int64_t n = divide(index, places), first = n * places * places + (index - n * places);
    A sum = 0;
    for (int64_t q = 0; q < places; ++q) sum += slope[first + q * places] * scores[first + q * places];
    norm_slopes[index] = inverse_norm_slope(inverse_norm[index], clamped) * sum;
  }
};

/// Slope of the products of pixels: r and, on the diagonal, |p|² are sums of them.
template <class A>
struct MatchSlope {
  const A *slope, *inverse_norm, *norm_slopes;
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
          sum += slope[e.base + int64_t(e.q + shift) * places + e.l + shift] * inverse_norm[source];
        if (e.q == e.l) sum += norm_slopes[source];
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
    A *slope = this->part(plan.slope), *other = this->part(plan.fused);
    A *phase_slopes = this->part(plan.phase_slopes), *norm_slopes = this->part(plan.norm_slopes);
    const A* inverse_norm = this->part(plan.inverse_norm);
    Stream& s = this->stream_;
    const int places = int(plan.places), h = this->h_, w = this->w_;

    this->attend(a.x, a.mask, a.scale);
    this->template phases<Move::split>(a.dy, this->part(plan.painted));
    for (int p = 0; p < kPhases; ++p) through_paste(p);
    launch<kSoftmaxLanes>(s, plan.samples * plan.places,
                          SoftmaxSlope<A>{this->part(plan.attention), slope, places, A(a.scale)});
    if (this->form_.fused) {
      for_each(s, this->elements(), Fuse<A, Pass::backward>{slope, other, h, w});
      std::swap(slope, other);
    }
    for_each(s, plan.samples * plan.places,
             NormSlope<A>{slope, this->part(plan.scores), inverse_norm, norm_slopes, places, this->form_.clamped});
    for_each(s, this->elements(), MatchSlope<A>{slope, inverse_norm, norm_slopes, other, h, w});
    through_match(other);
    if (a.dx_mode == GradMode::accumulate) {
      this->template phases<Move::add>(a.dx, phase_slopes);
    } else {
      this->template phases<Move::merge>(a.dx, phase_slopes);
    }
  }

 private:
  /// Shrunk x's slope grows by (g + gᵀ)·x, g of the products of its pixels, which lie at `slope`.
  void through_match(A* slope) {
    const AttentionPlan& plan = this->plan_;
    const bool aligned = this->form_.aligned;
    A* behind = this->part(plan.painted) + this->matched_elements();  // behind shrunk x
    const PlacesOperand x = this->matched();
    const PlacesOperand to =
        aligned ? PlacesOperand{behind, plan.places * this->c_} : this->phase(plan.phase_slopes, 0);
    for (const bool transpose : {false, true}) {
      this->multiply({.a = {slope, plan.matrix},
                      .b = x,
                      .c = to,
                      .n = this->c_,
                      .k = plan.places,
                      .transpose_a = transpose,
                      .add = transpose || !aligned});
    }
    if (aligned)
      for_each(this->stream_, this->matched_elements(),
               Matched<A, Match::scatter>{this->part(plan.phase_slopes), behind, this->h_, this->w_, this->c_, true});
  }

  void through_paste(int p) {
    const AttentionPlan& plan = this->plan_;
    A *fused = this->part(plan.fused), *slope = this->part(plan.slope);
    const int h = this->h_, w = this->w_;
    for_each(this->stream_, this->elements(),
             SumDiagonals<A>{this->part(plan.attention), nullptr, fused, h, w, paste_window(p)});
    const PlacesOperand x = this->phase(plan.phases, p), dy = this->phase(plan.painted, p);
    this->multiply({.a = this->matrices(plan.fused),
                    .b = dy,
                    .c = this->phase(plan.phase_slopes, p),
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
             AddDiagonals<A>{{fused, nullptr, slope, h, w, mirrored(paste_window(p))}, p > 0});
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
