// Layers without parameters: activations, joins, pools, resizes, attention, preprocessing.
#include "engine/layer_parts.h"
#include "kernels/attention.h"
#include "kernels/concat.h"
#include "kernels/core/buffer.h"
#include "kernels/dropout.h"
#include "kernels/pointwise.h"
#include "kernels/preprocess.h"
#include "kernels/resample.h"

namespace telltale {
namespace {
void check_mask(const std::string& name, const Shape& x, const Shape& m) {
  TT_CHECK((m == Shape{x.n, x.h, x.w, 1}), ShapeError, name, ": the mask is ", to_string(m), ", expected ",
           to_string(Shape{x.n, x.h, x.w, 1}));
}
/// A mask's slope is 0: no layer here learns where the hole is.
void no_gradient(Stream& s, const Io& io, size_t k) {
  if (io.dx_mode[k] == GradMode::overwrite) fill_zero(s, io.dx[k]);
}
void fill(Stream& s, const Tensor& t, float value) {
  visit_float(t.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    const std::vector<T> constant(size_t(t.shape.numel()), store<T>(acc_t<T>(value)));
    upload(s, t, constant.data());
  });
}
}  // namespace

std::string Activation::describe() const { return cat("Activation", act_name(act)); }
Spec Activation::plan(const PlanContext& c, std::span<const Shape> x) const {
  check_inputs(name, x, 1);
  Spec spec;
  spec.y = x[0];
  spec.keep_y = c.backward;
  spec.inplace = 0;
  return spec;
}
void Activation::forward(Stream& s, const Io& io) const { activation_forward(s, io.x[0], io.y, act); }
void Activation::backward(Stream& s, const Io& io) const {
  if (io.dx_mode[0] != GradMode::ignore) activation_backward(s, io.y, io.dy, io.dx[0], act, io.dx_mode[0]);
}
/// The maximum of relus is relu of the maximum, exactly, and of fewer numbers: backward then spreads slopes that have
/// passed relu, and nobody reads what lies before the pool again.
std::unique_ptr<Layer> Activation::absorb(const Layer& next, int, bool) const {
  const auto* pool = dynamic_cast<const MaxPool*>(&next);
  if (!pool || act != Act::relu || pool->settings().act != Act::none) return nullptr;
  MaxPool::Settings settings = pool->settings();
  settings.act = act;
  return std::make_unique<MaxPool>(settings);
}

Spec Add::plan(const PlanContext&, std::span<const Shape> x) const {
  check_inputs(name, x, 2);
  TT_CHECK(x[0] == x[1], ShapeError, name, ": adds ", to_string(x[1]), " to ", to_string(x[0]));
  Spec spec;
  spec.y = x[0];
  spec.inplace = 0;
  return spec;
}
void Add::forward(Stream& s, const Io& io) const { add_forward(s, io.x[0], io.x[1], io.y); }
void Add::backward(Stream& s, const Io& io) const {
  for (size_t k = 0; k < 2; ++k) {
    if (io.dx_mode[k] != GradMode::ignore) add_gradient(s, io.dy, io.dx[k], io.dx_mode[k]);
  }
}

Spec Concat::plan(const PlanContext&, std::span<const Shape> x) const {
  TT_CHECK(!x.empty(), ShapeError, name, ": nothing to join");
  Spec spec;
  spec.y = x[0];
  spec.y.c = 0;
  for (const Shape& s : x) {
    TT_CHECK(s.n == x[0].n && s.h == x[0].h && s.w == x[0].w, ShapeError, name, ": can't join ", to_string(s), " to ",
             to_string(x[0]));
    spec.y.c += s.c;
  }
  return spec;
}
void Concat::forward(Stream& s, const Io& io) const { concat_forward(s, io.x, io.y); }
void Concat::backward(Stream& s, const Io& io) const { concat_backward(s, io.dy, io.dx, io.dx_mode); }

Spec Blend::plan(const PlanContext& c, std::span<const Shape> x) const {
  check_inputs(name, x, 3);
  TT_CHECK(x[0] == x[1], ShapeError, name, ": blends ", to_string(x[1]), " into ", to_string(x[0]));
  check_mask(name, x[0], x[2]);
  Spec spec;
  spec.y = x[0];
  if (c.backward) spec.keep_x = 4;
  return spec;
}
void Blend::forward(Stream& s, const Io& io) const {
  BlendArgs a;
  a.a = io.x[0];
  a.b = io.x[1];
  a.m = io.x[2];
  a.y = io.y;
  blend_forward(s, a);
}
void Blend::backward(Stream& s, const Io& io) const {
  BlendArgs a;
  a.m = io.x[2];
  a.dy = io.dy;
  a.da = io.dx[0];
  a.db = io.dx[1];
  a.da_mode = io.dx_mode[0];
  a.db_mode = io.dx_mode[1];
  blend_backward(s, a);
  no_gradient(s, io, 2);
}

std::string FillHole::describe() const { return cat("FillHole ", value_); }
Spec FillHole::plan(const PlanContext& c, std::span<const Shape> x) const {
  check_inputs(name, x, 2);
  check_mask(name, x[0], x[1]);
  Spec spec;
  spec.y = x[0];
  spec.packed = size_t(x[0].numel()) * size_of(c.compute);  // the constant image
  if (c.backward) spec.keep_x = 2;
  return spec;
}
void FillHole::prepare(Stream& s, const Io& io) const {
  fill(s, {io.packed.data, io.x[0].shape, io.x[0].dtype}, value_);
}
void FillHole::forward(Stream& s, const Io& io) const {
  BlendArgs a;
  a.a = io.x[0];
  a.b = {io.packed.data, io.x[0].shape, io.x[0].dtype};
  a.m = io.x[1];
  a.y = io.y;
  blend_forward(s, a);
}
void FillHole::backward(Stream& s, const Io& io) const {
  BlendArgs a;
  a.m = io.x[1];
  a.dy = io.dy;
  a.da = io.dx[0];
  a.da_mode = io.dx_mode[0];
  blend_backward(s, a);
  no_gradient(s, io, 1);
}

std::string ConstantChannel::describe() const { return cat("ConstantChannel ", value_); }
Spec ConstantChannel::plan(const PlanContext& c, std::span<const Shape> x) const {
  check_inputs(name, x, 1);
  Spec spec;
  spec.y = {x[0].n, x[0].h, x[0].w, 1};
  spec.packed = size_t(spec.y.numel()) * size_of(c.compute);
  return spec;
}
void ConstantChannel::prepare(Stream& s, const Io& io) const {
  fill(s, {io.packed.data, io.y.shape, io.y.dtype}, value_);
}
void ConstantChannel::forward(Stream& s, const Io& io) const {
  copy(s, io.y, {io.packed.data, io.y.shape, io.y.dtype});
}
void ConstantChannel::backward(Stream& s, const Io& io) const { no_gradient(s, io, 0); }

std::string Dropout::describe() const { return cat("Dropout ", p_); }
Spec Dropout::plan(const PlanContext&, std::span<const Shape> x) const {
  check_inputs(name, x, 1);
  Spec spec;
  spec.y = x[0];
  spec.inplace = 0;
  return spec;
}
void Dropout::forward(Stream& s, const Io& io) const {
  if (!io.training) {
    if (io.y.data != io.x[0].data) copy(s, io.y, io.x[0]);
    return;
  }
  dropout(s, {.x = io.x[0], .y = io.y, .p = p_, .node = io.node, .state = io.step});
}
void Dropout::backward(Stream& s, const Io& io) const {
  if (io.dx_mode[0] == GradMode::ignore) return;
  dropout(s, {.x = io.dy, .y = io.dx[0], .p = p_, .node = io.node, .state = io.step, .mode = io.dx_mode[0]});
}

std::string Downsample::describe() const { return cat("Downsample /", factor_, aligned_ ? " aligned" : ""); }
Spec Downsample::plan(const PlanContext&, std::span<const Shape> x) const {
  check_inputs(name, x, 1);
  TT_CHECK(x[0].h % factor_ == 0 && x[0].w % factor_ == 0, ShapeError, name, ": height and width must be multiples of ",
           factor_, ", got ", to_string(x[0]));
  Spec spec;
  spec.y = {x[0].n, x[0].h / factor_, x[0].w / factor_, x[0].c};
  return spec;
}
void Downsample::forward(Stream& s, const Io& io) const {
  aligned_ ? nearest_aligned_forward(s, io.x[0], io.y) : nearest_forward(s, io.x[0], io.y);
}
void Downsample::backward(Stream& s, const Io& io) const {
  if (io.dx_mode[0] == GradMode::ignore) return;
  const auto run = aligned_ ? nearest_aligned_backward : nearest_backward;
  run(s, io.dy, io.dx[0], io.dx_mode[0]);
}

Spec ContextualAttention::plan(const PlanContext& c, std::span<const Shape> x) const {
  check_inputs(name, x, 2);
  check_mask(name, x[0], x[1]);
  TT_CHECK(x[0].h % 2 == 0 && x[0].w % 2 == 0, ShapeError, name, ": height and width must be even, got ",
           to_string(x[0]));
  Spec spec;
  spec.y = x[0];
  spec.scratch = attention_scratch_bytes(c.stream, x[0], c.compute);
  if (c.backward) {
    spec.keep_x = 3;
    spec.backward_scratch = attention_backward_scratch_bytes(c.stream, x[0], c.compute);
  }
  return spec;
}
void ContextualAttention::forward(Stream& s, const Io& io) const {
  attention_forward(s, {.x = io.x[0], .mask = io.x[1], .y = io.y, .scratch = io.scratch, .form = form_});
}
void ContextualAttention::backward(Stream& s, const Io& io) const {
  attention_backward(s, {.x = io.x[0],
                         .mask = io.x[1],
                         .dy = io.dy,
                         .dx = io.dx[0],
                         .scratch = io.scratch,
                         .form = form_,
                         .dx_mode = io.dx_mode[0]});
  no_gradient(s, io, 1);
}

std::string Preprocess::describe() const { return cat("Preprocess to ", s_.h, "x", s_.w); }
Spec Preprocess::plan(const PlanContext&, std::span<const Shape> x) const {
  TT_CHECK(x.size() == 1 || x.size() == 2, ShapeError, name, ": takes images and optional flips, got ", x.size(),
           " inputs");
  const Shape& from = s_.images ? s_.images.shape : x[0];
  const int n = s_.images ? x[0].c : x[0].n;
  TT_CHECK(from.c == 3, ShapeError, name, ": images have 3 channels, got ", to_string(from));
  TT_CHECK(!s_.images || (x[0] == Shape{1, 1, 1, n}), ShapeError, name, ": the index of images is ", to_string(x[0]),
           ", expected {1,1,1,N}");
  TT_CHECK(x.size() == 1 || (x[1] == Shape{1, 1, 1, n}), ShapeError, name, ": flips are ", to_string(x.back()),
           ", expected one per image");
  Spec spec;
  spec.y = {n, s_.h, s_.w, 3};
  return spec;
}
PreprocessArgs Preprocess::args(const Io& io) const {
  PreprocessArgs a;
  a.x = s_.images ? s_.images : io.x[0];
  if (s_.images) a.index = io.x[0];
  if (io.x.size() > 1) a.flip = io.x[1];
  for (int k = 0; k < 3; ++k) {
    a.mean[k] = s_.mean[k];
    a.std[k] = s_.std[k];
  }
  return a;
}
void Preprocess::forward(Stream& s, const Io& io) const {
  PreprocessArgs a = args(io);
  a.y = io.y;
  preprocess(s, a);
}

}  // namespace telltale
