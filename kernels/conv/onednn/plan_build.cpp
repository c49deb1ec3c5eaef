// How a convolution is put to oneDNN: which algorithm, whose layouts, what is copied.
#if TT_ONEDNN
#include <algorithm>
#include <optional>
#include <string_view>

#include "kernels/conv/onednn/plan.h"
#include "kernels/conv/onednn/primitives.h"

namespace telltale {
namespace {

using dnnl::memory;
using dnnl::primitive_attr;
using Layout = memory::format_tag;
using Kind = ConvProblem::Kind;
using onednn::FilterGrad;
using onednn::Forward;
using onednn::InputGrad;
using Algorithm = dnnl::algorithm;
constexpr auto kDirect = Algorithm::convolution_direct, kWinograd = Algorithm::convolution_winograd;
constexpr auto kF32 = memory::data_type::f32;

primitive_attr attributes_of(const ConvProblem& p) {
  dnnl::post_ops post;
  if (p.kind == Kind::forward) {
    if (p.add) post.append_sum(1);
    switch (p.act) {
      case Act::none: break;
      case Act::relu: onednn::append(post, Algorithm::eltwise_relu, 0); break;
      case Act::elu: onednn::append(post, Algorithm::eltwise_elu, 1); break;
      case Act::sigmoid: onednn::append(post, Algorithm::eltwise_logistic, 0); break;
      case Act::tanh: onednn::append(post, Algorithm::eltwise_tanh, 0); break;
    }
  }
  primitive_attr attributes;
  attributes.set_post_ops(post);
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  return attributes;
}

/// Zeros below or to the right that the last output reads; negative where it leaves rows or columns unread.
int pad_after(int in, int taps, int out, int before, const ConvProblem& p) {
  return (out - 1) * p.stride + p.dilation * (taps - 1) + 1 - in - before;
}

/// A problem in oneDNN's terms; its dimensions go N, C, H, W and K, C, R, S whatever the memory's order.
struct Terms {
  memory::data_type type;
  memory::dims x, w, y, strides, dilates, pads, pads_after;
  memory::desc plain_x, plain_y, plain_w, bias;

  explicit Terms(const ConvProblem& p)
      : type(p.type == DType::bf16 ? memory::data_type::bf16 : kF32),
        x{p.x.n, p.x.c, p.x.h, p.x.w},
        w{p.y.c, p.x.c, p.w.h, p.w.w},
        y{p.y.n, p.y.c, p.y.h, p.y.w},
        strides{p.stride, p.stride},
        dilates{p.dilation - 1, p.dilation - 1},
        pads{p.pad_h, p.pad_w},
        pads_after{pad_after(p.x.h, p.w.h, p.y.h, p.pad_h, p), pad_after(p.x.w, p.w.w, p.y.w, p.pad_w, p)},
        plain_x(x, type, Layout::nhwc),
        plain_y(y, type, Layout::nhwc),
        plain_w(w, p.kind == Kind::filter_grad ? kF32 : type, Layout::ohwi),
        bias({p.y.c}, kF32, Layout::a) {
    const int64_t row = int64_t(p.w.w) * p.w.c;
    if (p.turned) plain_w = memory::desc(w, type, memory::dims{1, p.w.h * row, row, p.w.c});
  }
  memory::desc any(const memory::dims& d) const { return {d, type, Layout::any}; }
  onednn::Description description(Algorithm algorithm, const memory::desc& x_as, const memory::desc& w_as,
                                  const memory::desc& y_as) const {
    return {algorithm, x_as, w_as, std::nullopt, y_as, strides, dilates, pads, pads_after};
  }
};

Forward::primitive_desc forward_primitive(const Terms& t, const memory::desc& x, const memory::desc& w,
                                          const memory::desc& y, bool bias, const primitive_attr& attributes,
                                          const dnnl::engine& engine, Algorithm algorithm = kDirect,
                                          dnnl::prop_kind kind = dnnl::prop_kind::forward_training) {
  onednn::Description d = t.description(algorithm, x, w, y);
  if (bias) d.bias = t.bias;
  return onednn::forward(d, kind, attributes, engine);
}

/// Lets an operand copy `from` to `to`, or add it.
void set_copy(ConvOperand& o, const memory::desc& from, const memory::desc& to, const dnnl::engine& engine, bool add) {
  dnnl::post_ops post;
  if (add) post.append_sum(1);
  primitive_attr attributes;
  attributes.set_post_ops(post);
  o.copy = dnnl::reorder(dnnl::reorder::primitive_desc(engine, from, engine, to, attributes));
  o.from = memory(from, engine, nullptr);
  o.to = memory(to, engine, nullptr);
}

ConvOperand input_operand(const memory::desc& plain, const memory::desc& inner, const dnnl::engine& engine) {
  ConvOperand o;
  o.plain = o.inner = memory(plain, engine, nullptr);
  if (plain == inner) return o;
  o.differs = true;
  o.inner = memory(inner, engine, nullptr);
  set_copy(o, plain, inner, engine, false);
  return o;
}

/// A filter that Winograd's inner form is made of, which oneDNN makes from one order only.
ConvOperand transformed_filter(const Terms& t, const memory::desc& inner, const dnnl::engine& engine) {
  ConvOperand o;
  o.plain = memory(t.plain_w, engine, nullptr);
  o.inner = memory(inner, engine, nullptr);
  o.differs = true;
  o.stopover = memory::desc(t.w, kF32, Layout::oihw);
  return o;
}

/// `add`: what plain holds is added to.
ConvOperand result_operand(const memory::desc& plain, const memory::desc& inner, const dnnl::engine& engine, bool add) {
  ConvOperand o;
  o.plain = o.inner = memory(plain, engine, nullptr);
  if (plain == inner && !add) return o;
  o.differs = true;
  o.inner = memory(inner, engine, nullptr);
  set_copy(o, inner, plain, engine, add);
  return o;
}

/// A dilated convolution as one of dilation² images, each of the pixels that lie a dilation apart.
ConvProblem undilated(ConvProblem p) {
  for (Shape* s : {&p.x, &p.y}) *s = {s->n * p.dilation * p.dilation, s->h / p.dilation, s->w / p.dilation, s->c};
  p.pad_h = p.pad_w = p.dilation = 1;
  return p;
}

/// How the whole image and undilated()'s images, `inner`, hold the same numbers: two layouts to copy between.
std::pair<memory::desc, memory::desc> apart(const Shape& s, int64_t d, const memory::desc& inner) {
  constexpr int64_t kBlock = 16;
  const int64_t c = s.c, h = s.h / d, w = s.w / d, image = c * h * w;
  if (inner != memory::desc({s.n * d * d, c, h, w}, kF32, Layout::nChw16c))
    throw dnnl::error(dnnl_unimplemented, "the layout of Winograd's activations is not known here");
  const memory::dims dims{s.n, d, d, c / kBlock, h, w, kBlock};
  return {{dims, kF32, memory::dims{image * d * d, s.w * c, c, kBlock, d * s.w * c, d * c, 1}},
          {dims, kF32, memory::dims{image * d * d, image * d, image, h * w * kBlock, w * kBlock, kBlock, 1}}};
}

/// Activations on their way in, of a convolution whose dilation, if not 1, is undone.
ConvOperand activations_in(const Shape& s, int dilation, const memory::desc& plain, const memory::desc& inner,
                           const dnnl::engine& engine) {
  if (dilation == 1) return input_operand(plain, inner, engine);
  const auto [whole, parts] = apart(s, dilation, inner);
  ConvOperand o = input_operand(whole, parts, engine);
  o.inner = memory(inner, engine, nullptr);
  return o;
}

/// The same on their way out.
ConvOperand activations_out(const Shape& s, int dilation, const memory::desc& plain, const memory::desc& inner,
                            const dnnl::engine& engine, bool add) {
  if (dilation == 1) return result_operand(plain, inner, engine, add);
  const auto [whole, parts] = apart(s, dilation, inner);
  ConvOperand o = result_operand(whole, parts, engine, add);
  o.inner = memory(inner, engine, nullptr);
  return o;
}

/// A filter turned round: tap (r, s) of the primitive comes from tap (R−1−r, S−1−s).
ConvOperand turned_filter(const ConvProblem& p, const memory::desc& plain, const memory::desc& inner,
                          const dnnl::engine& engine) {
  ConvOperand o = input_operand(plain, inner, engine);
  o.differs = true;
  o.inner = memory(inner, engine, nullptr);
  if (plain == inner) set_copy(o, plain, inner, engine, false);
  o.turn.filters = p.w.n;
  o.turn.taps = p.w.h * p.w.w;
  o.turn.tap_bytes = size_t(p.w.c) * size_of(p.type);
  return o;
}

bool is_naive(const char* implementation) { return std::string_view(implementation).starts_with("ref"); }
/// Unrolls patches and multiplies matrices: blocked layouts gain it nothing.
bool is_by_gemm(const char* implementation) {
  return std::string_view(implementation).find("gemm") != std::string_view::npos;
}

/// Whether a packed filter is worth being kept as Winograd transforms it, in up to four times the room; many pixels
/// hide the time it takes to do so in every call.
bool is_transformed_ahead(const ConvProblem& p) { return p.packed && p.y.rows() < 2048; }

/// Whether Winograd's F(4×4, 3×3), layouts' copies included, is faster than multiplying every tap: it saves up to three
/// quarters of the products, but moves four times the filter, which few pixels do not pay back. Its rounding errors are
/// within twice the direct sum's. (Measured shape by shape on an AVX-512 machine. A rule, not a race: the same bits on
/// every run.)
bool is_better_by_winograd(const ConvProblem& p) {
  const int d = p.dilation;
  const bool apart = p.x.h % d == 0 && p.x.w % d == 0 && (d == 1 || std::min(p.x.h, p.x.w) >= 4 * d);
  const bool fits = p.w.h == 3 && p.w.w == 3 && p.stride == 1 && p.pad_h == d && p.pad_w == d && p.y.h == p.x.h &&
                    p.y.w == p.x.w && p.x.c % 16 == 0 && p.y.c % 16 == 0 && apart &&
                    (p.act == Act::none || p.act == Act::relu);
  const int64_t pixels = p.y.rows(), filters = int64_t(p.x.c) * p.y.c;
  if (p.type != DType::f32 || !fits || std::min(p.x.c, p.y.c) < 32 || filters < 2048) return false;
  if (p.kind == Kind::filter_grad) return filters >= 4096 && pixels >= 512;
  return pixels >= 1024 || (is_transformed_ahead(p) && (filters <= 65536 || pixels <= 64));
}

ConvPlan forward_plan(const ConvProblem& p, Algorithm algorithm, const dnnl::engine& engine) {
  const bool winograd = algorithm == kWinograd, transformed = winograd && is_transformed_ahead(p);
  const int dilation = winograd ? p.dilation : 1;  // that is undone
  const Terms t(winograd ? undilated(p) : p);
  const primitive_attr attributes = attributes_of(p);
  const memory::desc x = winograd ? t.any(t.x) : t.plain_x, y = winograd ? t.any(t.y) : t.plain_y;
  const auto kind = transformed ? dnnl::prop_kind::forward_inference : dnnl::prop_kind::forward_training;
  // The filter's layout is chosen without the epilogue, so that one packing serves every call on these shapes.
  const memory::desc w =
      forward_primitive(t, x, t.any(t.w), y, false, primitive_attr(), engine, algorithm, kind).weights_desc();
  const auto pd = forward_primitive(t, x, w, y, p.bias, attributes, engine, algorithm, kind);
  ConvPlan plan;
  plan.first = activations_in(p.x, dilation, t.plain_x, pd.src_desc(), engine);
  plan.second = p.turned      ? turned_filter(p, t.plain_w, w, engine)
                : transformed ? transformed_filter(t, w, engine)
                              : input_operand(t.plain_w, w, engine);
  plan.result = activations_out(p.y, dilation, t.plain_y, pd.dst_desc(), engine, false);
  if (p.add) plan.addend = activations_in(p.y, dilation, t.plain_y, pd.dst_desc(), engine);
  plan.primitive = Forward(pd);
  plan.naive = is_naive(pd.impl_info_str());
  plan.scratchpad = memory(pd.scratchpad_desc(), engine, nullptr);
  plan.arguments = {
      {DNNL_ARG_SRC, plan.first.inner}, {DNNL_ARG_WEIGHTS, plan.second.inner}, {DNNL_ARG_DST, plan.result.inner}};
  if (p.bias) {
    plan.bias = memory(t.bias, engine, nullptr);
    plan.arguments.emplace(DNNL_ARG_BIAS, plan.bias);
  }
  return plan;
}

/// dx by a stride of 1 as a convolution of dy with the filter turned round: forward kernels are the faster ones.
std::optional<ConvProblem> turned(ConvProblem p) {
  const int pad_h = p.dilation * (p.w.h - 1) - p.pad_h, pad_w = p.dilation * (p.w.w - 1) - p.pad_w;
  if (p.stride != 1 || pad_h < 0 || pad_w < 0) return std::nullopt;
  p.kind = Kind::forward;
  p.turned = true;
  std::swap(p.x, p.y);
  p.pad_h = pad_h;
  p.pad_w = pad_w;
  return p;
}

ConvPlan input_grad_plan(const ConvProblem& p, Algorithm algorithm, const dnnl::engine& engine) {
  const bool winograd = algorithm == kWinograd;
  const std::optional<ConvProblem> forward = turned(p);
  if (forward && !winograd) return forward_plan(*forward, algorithm, engine);
  const int dilation = winograd ? p.dilation : 1;
  const Terms t(winograd ? undilated(p) : p);
  // What is added to is rounded once, after the addition.
  const auto type = p.add ? kF32 : t.type;
  const memory::desc plain_x(t.x, type, Layout::nhwc), any_x(t.x, type, Layout::any);
  const auto make = [&](const memory::desc& x, const memory::desc& y) {
    const memory::desc hinted = x == plain_x ? t.plain_x : t.any(t.x);
    const auto hint = forward_primitive(t, hinted, t.any(t.w), y, false, primitive_attr(), engine, algorithm);
    return onednn::gradient<InputGrad>(t.description(algorithm, x, t.any(t.w), y), hint, attributes_of(p), engine);
  };
  auto pd = winograd ? make(any_x, t.any(t.y)) : make(plain_x, t.plain_y);
  if (is_naive(pd.impl_info_str())) pd = make(any_x, t.any(t.y));
  ConvPlan plan;
  plan.first = activations_in(p.y, dilation, t.plain_y, pd.diff_dst_desc(), engine);
  plan.second = input_operand(t.plain_w, pd.weights_desc(), engine);
  plan.result = activations_out(p.x, dilation, t.plain_x, pd.diff_src_desc(), engine, p.add);
  plan.primitive = InputGrad(pd);
  plan.naive = is_naive(pd.impl_info_str());
  plan.scratchpad = memory(pd.scratchpad_desc(), engine, nullptr);
  plan.arguments = {{DNNL_ARG_DIFF_DST, plan.first.inner},
                    {DNNL_ARG_WEIGHTS, plan.second.inner},
                    {DNNL_ARG_DIFF_SRC, plan.result.inner}};
  return plan;
}

/// Whether a filter's gradient is faster in oneDNN's blocked layouts, the copies of x and dy included. Its NHWC kernels
/// lose up to four fifths where neighbours lie far apart; a copied number costs as much as some hundred operations.
/// (Measured shape by shape on an AVX-512 machine. A rule, not a race: the same bits on every run.)
bool is_better_blocked(const ConvProblem& p) {
  const int taps = p.w.h * p.w.w;
  const double copied = double(p.x.numel() + p.y.numel());
  const double operations = 2.0 * double(p.y.rows()) * double(p.w.numel()) / copied;
  if (taps == 1) return operations >= 400;
  if (p.stride > 1) return p.x.c >= 16;
  return operations >= 600 && (p.y.w > 32 || p.dilation > 1);
}

ConvPlan filter_grad_plan(const ConvProblem& p, Algorithm algorithm, const dnnl::engine& engine) {
  const bool winograd = algorithm == kWinograd;
  const int dilation = winograd ? p.dilation : 1;
  const Terms t(winograd ? undilated(p) : p);
  const auto make = [&](const memory::desc& x, const memory::desc& y) {
    const auto hint = forward_primitive(t, x, t.any(t.w), y, false, primitive_attr(), engine, algorithm);
    const memory::desc w(t.w, kF32, Layout::any);
    return onednn::gradient<FilterGrad>(t.description(algorithm, x, w, y), hint, attributes_of(p), engine);
  };
  auto pd = winograd ? make(t.any(t.x), t.any(t.y)) : make(t.plain_x, t.plain_y);
  const char* chosen = pd.impl_info_str();
  if (!winograd && (is_naive(chosen) || (is_better_blocked(p) && !is_by_gemm(chosen))))
    pd = make(t.any(t.x), t.any(t.y));
  ConvPlan plan;
  plan.first = activations_in(p.x, dilation, t.plain_x, pd.src_desc(), engine);
  plan.second = activations_in(p.y, dilation, t.plain_y, pd.diff_dst_desc(), engine);
  plan.result = result_operand(t.plain_w, pd.diff_weights_desc(), engine, p.add);
  plan.primitive = FilterGrad(pd);
  plan.naive = is_naive(pd.impl_info_str());
  plan.scratchpad = memory(pd.scratchpad_desc(), engine, nullptr);
  plan.arguments = {{DNNL_ARG_SRC, plan.first.inner},
                    {DNNL_ARG_DIFF_DST, plan.second.inner},
                    {DNNL_ARG_DIFF_WEIGHTS, plan.result.inner}};
  return plan;
}

ConvPlan plan_by(Algorithm algorithm, const ConvProblem& p, const dnnl::engine& engine) {
  switch (p.kind) {
    case Kind::forward: return forward_plan(p, algorithm, engine);
    case Kind::input_grad: return input_grad_plan(p, algorithm, engine);
    default: return filter_grad_plan(p, algorithm, engine);
  }
}

}  // namespace

ConvPlan build_plan(const ConvProblem& p, const dnnl::engine& engine) {
  if (is_better_by_winograd(p)) {
    try {
      ConvPlan plan = plan_by(kWinograd, p, engine);
      constexpr size_t kMost = size_t(80) << 20;  // that its transformed tiles may take: a net's activations at batch 1
      if (plan.scratchpad.get_desc().get_size() <= kMost) return plan;
    } catch (const dnnl::error& e) {
      if (e.status != dnnl_unimplemented) throw;  // not on this machine, or not in this oneDNN
    }
  }
  return plan_by(kDirect, p, engine);
}

}  // namespace telltale
#endif
