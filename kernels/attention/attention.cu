#include "kernels/attention/device.h"

namespace telltale::cuda {
namespace {

template <class T>
class Forward : AttentionOnDevice<T> {
 public:
  using typename AttentionOnDevice<T>::A;
  using AttentionOnDevice<T>::AttentionOnDevice;

  void run(const AttentionArgs& a) {
    const AttentionPlan& plan = this->plan_;
    this->attend(a.x, a.mask, a.scale);
    A *fused = this->part(plan.fused), *painted = this->part(plan.painted);
    for (int p = 0; p < kPhases; ++p) {
      for_each(this->stream_, this->elements(),
               SumDiagonals<A>{this->part(plan.attention), nullptr, fused, this->h_, this->w_, paste_window(p)});
      this->multiply({.a = this->matrices(plan.fused),
                      .b = this->phase(plan.phases, p),
                      .c = this->phase(plan.painted, p),
                      .n = this->c_,
                      .k = plan.places,
                      .alpha = 0.25});
    }
    this->template phases<Move::merge>(a.y, painted);
  }
};

}  // namespace

size_t attention_scratch_bytes(const Shape& x, DType dtype) { return AttentionPlan(x, x.n).bytes(dtype); }

void attention_forward(Stream& s, const AttentionArgs& a) {
  check(a, attention_scratch_bytes(a.x.shape, a.x.dtype));
  if (a.x.shape.numel() == 0) return;
  const AttentionPlan plan(a.x.shape, a.x.shape.n);
  check_places(a.x, plan);
  visit_float(a.x.dtype, [&](auto tag) { Forward<typename decltype(tag)::type>(s, a.scratch, plan, a.form).run(a); });
}

}  // namespace telltale::cuda
