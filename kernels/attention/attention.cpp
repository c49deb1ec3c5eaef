#include "kernels/attention/host.h"

namespace telltale {
namespace {

struct Operand {
  const char* name;
  const Tensor& t;
};

void check_operands(const Tensor& features, const Tensor& mask, int rate, std::initializer_list<Operand> like_x) {
  const Shape &x = features.shape, &m = mask.shape;
  TT_CHECK(rate == 2, ShapeError, "attention: only rate 2 is implemented, got ", rate);
  TT_CHECK(x.h % 2 == 0 && x.w % 2 == 0, ShapeError, "attention: height and width must be even, got ", to_string(x));
  for (const Operand& o : like_x) {
    TT_CHECK(o.t.shape == x && o.t.dtype == features.dtype, ShapeError, "attention: ", o.name, " is ",
             to_string(o.t.shape), " of ", name_of(o.t.dtype), ", x ", to_string(x), " of ", name_of(features.dtype));
  }
  TT_CHECK((m == Shape{x.n, x.h, x.w, 1}) && mask.dtype == features.dtype, ShapeError, "attention: mask is ",
           to_string(m), " of ", name_of(mask.dtype), ", it must be one channel of x's size and type ",
           name_of(features.dtype));
}

void check_scratch(const Tensor& scratch, size_t bytes) {
  TT_CHECK(scratch.bytes() >= bytes, ShapeError, "attention: scratch has ", scratch.bytes(), " bytes of ", bytes);
}

}  // namespace

void check(const AttentionArgs& a, size_t scratch_bytes) {
  check_operands(a.x, a.mask, a.rate, {{"y", a.y}});
  check_scratch(a.scratch, scratch_bytes);
}

void check(const AttentionGradArgs& a, size_t scratch_bytes) {
  check_operands(a.x, a.mask, a.rate, {{"dy", a.dy}, {"dx", a.dx}});
  check_scratch(a.scratch, scratch_bytes);
}

namespace cpu {
namespace {

template <class T>
class Forward : AttentionOnHost<T> {
 public:
  using typename AttentionOnHost<T>::A;
  Forward(Stream& s, const AttentionArgs& a, const AttentionPlan& plan)
      : AttentionOnHost<T>(s, a.scratch, plan, a.scale, a.form), args_(a) {}

  void run(int sample) {
    this->split(args_.x, sample, this->phases_);
    this->find_valid(args_.mask, sample);
    this->match();
    this->attend();
    paste();
    this->merge(this->painted_, args_.y, sample);
  }

 private:
  void paste() {
    const AttentionPlan& plan = this->plan_;
    for (int p = 0; p < kPhases; ++p) {
      this->each_row(plan.places, [&](int64_t q) {
        this->sum_diagonals(this->attention_, this->fused_ + q * plan.places, q, paste_window(p));
      });
      this->multiply({.a = this->fused_,
                      .b = this->phase(this->phases_, p),
                      .c = this->phase(this->painted_, p),
                      .n = plan.channels,
                      .k = plan.places,
                      .alpha = 0.25});
    }
  }

  const AttentionArgs& args_;
};

}  // namespace

size_t attention_scratch_bytes(const Shape& x, DType dtype) { return AttentionPlan(x, 1).bytes(dtype); }

void attention_forward(Stream& s, const AttentionArgs& a) {
  check(a, attention_scratch_bytes(a.x.shape, a.x.dtype));
  if (a.x.shape.numel() == 0) return;
  const AttentionPlan plan(a.x.shape, 1);
  visit_float(a.x.dtype, [&](auto tag) {
    Forward<typename decltype(tag)::type> attention(s, a, plan);
    for (int sample = 0; sample < a.x.shape.n; ++sample) attention.run(sample);
  });
}

}  // namespace cpu
}  // namespace telltale
