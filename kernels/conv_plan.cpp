#if TT_ONEDNN
#include "kernels/conv_plan.h"

#include <omp.h>

#include <string_view>

namespace telltale {
namespace {

using dnnl::memory;
using dnnl::primitive_attr;
using Layout = memory::format_tag;
using Kind = ConvProblem::Kind;
using Forward = dnnl::convolution_forward;
using InputGrad = dnnl::convolution_backward_data;
using FilterGrad = dnnl::convolution_backward_weights;
constexpr auto kDirect = dnnl::algorithm::convolution_direct;
constexpr auto kF32 = memory::data_type::f32;

constexpr size_t aligned(size_t bytes) { return (bytes + 63) / 64 * 64; }

primitive_attr attributes_of(const ConvProblem& p) {
  dnnl::post_ops post;
  if (p.kind == Kind::forward) {
    using dnnl::algorithm;
    if (p.add) post.append_sum(1);
    switch (p.act) {
      case Act::none: break;
      case Act::relu: post.append_eltwise(1, algorithm::eltwise_relu, 0, 0); break;
      case Act::elu: post.append_eltwise(1, algorithm::eltwise_elu, 1, 0); break;
      case Act::sigmoid: post.append_eltwise(1, algorithm::eltwise_logistic, 0, 0); break;
      case Act::tanh: post.append_eltwise(1, algorithm::eltwise_tanh, 0, 0); break;
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
  memory::dims x, w, y, strides, dilates, pads, pads_after;
  memory::desc plain_x, plain_y, plain_w, bias;

  explicit Terms(const ConvProblem& p)
      : x{p.x.n, p.x.c, p.x.h, p.x.w},
        w{p.y.c, p.x.c, p.w.h, p.w.w},
        y{p.y.n, p.y.c, p.y.h, p.y.w},
        strides{p.stride, p.stride},
        dilates{p.dilation - 1, p.dilation - 1},
        pads{p.pad_h, p.pad_w},
        pads_after{pad_after(p.x.h, p.w.h, p.y.h, p.pad_h, p), pad_after(p.x.w, p.w.w, p.y.w, p.pad_w, p)},
        plain_x(x, kF32, Layout::nhwc),
        plain_y(y, kF32, Layout::nhwc),
        plain_w(w, kF32, Layout::ohwi),
        bias({p.y.c}, kF32, Layout::a) {
    const int64_t row = int64_t(p.w.w) * p.w.c;
    if (p.turned) plain_w = memory::desc(w, kF32, memory::dims{1, p.w.h * row, row, p.w.c});
  }
  memory::desc any(const memory::dims& d) const { return {d, kF32, Layout::any}; }
};

Forward::primitive_desc forward_primitive(const Terms& t, const memory::desc& x, const memory::desc& w,
                                          const memory::desc& y, bool bias, const primitive_attr& attributes,
                                          const dnnl::engine& engine) {
  const auto kind = dnnl::prop_kind::forward_training;
  const auto desc = bias ? Forward::desc(kind, kDirect, x, w, t.bias, y, t.strides, t.dilates, t.pads, t.pads_after)
                         : Forward::desc(kind, kDirect, x, w, y, t.strides, t.dilates, t.pads, t.pads_after);
  return {desc, attributes, engine};
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
  o.parts = {{0, 0}};
  set_copy(o, plain, inner, engine, false);
  return o;
}

/// `add`: what plain holds is added to.
ConvOperand result_operand(const memory::desc& plain, const memory::desc& inner, const dnnl::engine& engine, bool add) {
  ConvOperand o;
  o.plain = o.inner = memory(plain, engine, nullptr);
  if (plain == inner && !add) return o;
  o.differs = true;
  o.inner = memory(inner, engine, nullptr);
  o.parts = {{0, 0}};
  set_copy(o, inner, plain, engine, add);
  return o;
}

/// A filter turned round: tap (r, s) of the primitive comes from tap (R−1−r, S−1−s), so each is copied alone.
ConvOperand turned_filter(const memory::desc& plain, const memory::desc& inner, const dnnl::engine& engine) {
  const auto dims = plain.dims();
  const auto tap = [&](const memory::desc& d, int64_t r, int64_t s, size_t& offset) {
    memory::desc part = d.submemory_desc({dims[0], dims[1], 1, 1}, {0, 0, r, s});
    offset = size_t(part.data.offset0) * sizeof(float);
    part.data.offset0 = 0;
    return part;
  };
  ConvOperand o;
  o.plain = memory(plain, engine, nullptr);
  o.inner = memory(inner, engine, nullptr);
  o.differs = true;
  size_t origin = 0;
  set_copy(o, tap(plain, 0, 0, origin), tap(inner, 0, 0, origin), engine, false);
  for (int64_t r = 0; r < dims[2]; ++r) {
    for (int64_t s = 0; s < dims[3]; ++s) {
      size_t from = 0, to = 0;
      tap(plain, dims[2] - 1 - r, dims[3] - 1 - s, from);
      tap(inner, r, s, to);
      o.parts.emplace_back(from, to);
    }
  }
  return o;
}

bool is_naive(const char* implementation) { return std::string_view(implementation).starts_with("ref"); }
/// Unrolls patches and multiplies matrices: blocked layouts gain it nothing.
bool is_by_gemm(const char* implementation) {
  return std::string_view(implementation).find("gemm") != std::string_view::npos;
}

ConvPlan forward_plan(const ConvProblem& p, const dnnl::engine& engine) {
  const Terms t(p);
  const primitive_attr attributes = attributes_of(p);
  // The filter's layout is chosen without the epilogue, so that one packing serves every call on these shapes.
  const memory::desc w =
      forward_primitive(t, t.plain_x, t.any(t.w), t.plain_y, false, primitive_attr(), engine).weights_desc();
  const auto pd = forward_primitive(t, t.plain_x, w, t.plain_y, p.bias, attributes, engine);
  ConvPlan plan;
  plan.first = input_operand(t.plain_x, pd.src_desc(), engine);
  plan.second = p.turned ? turned_filter(t.plain_w, w, engine) : input_operand(t.plain_w, w, engine);
  plan.result = result_operand(t.plain_y, pd.dst_desc(), engine, false);
  plan.primitive = Forward(pd);
  plan.scratchpad = memory(pd.scratchpad_desc(), engine, nullptr);
  plan.arguments = {
      {DNNL_ARG_SRC, plan.first.inner}, {DNNL_ARG_WEIGHTS, plan.second.inner}, {DNNL_ARG_DST, plan.result.inner}};
  if (p.bias) {
    plan.bias = memory(t.bias, engine, nullptr);
    plan.arguments.emplace(DNNL_ARG_BIAS, plan.bias);
  }
  return plan;
}

ConvPlan input_grad_plan(const ConvProblem& p, const dnnl::engine& engine) {
  const Terms t(p);
  const auto make = [&](const memory::desc& x, const memory::desc& y) {
    const auto hint = forward_primitive(t, x, t.any(t.w), y, false, primitive_attr(), engine);
    return InputGrad::primitive_desc({kDirect, x, t.any(t.w), y, t.strides, t.dilates, t.pads, t.pads_after},
                                     attributes_of(p), engine, hint);
  };
  auto pd = make(t.plain_x, t.plain_y);
  if (is_naive(pd.impl_info_str())) pd = make(t.any(t.x), t.any(t.y));
  ConvPlan plan;
  plan.first = input_operand(t.plain_y, pd.diff_dst_desc(), engine);
  plan.second = input_operand(t.plain_w, pd.weights_desc(), engine);
  plan.result = result_operand(t.plain_x, pd.diff_src_desc(), engine, p.add);
  plan.primitive = InputGrad(pd);
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

ConvPlan filter_grad_plan(const ConvProblem& p, const dnnl::engine& engine) {
  const Terms t(p);
  const auto make = [&](const memory::desc& x, const memory::desc& y) {
    const auto hint = forward_primitive(t, x, t.any(t.w), y, false, primitive_attr(), engine);
    return FilterGrad::primitive_desc({kDirect, x, t.any(t.w), y, t.strides, t.dilates, t.pads, t.pads_after},
                                      attributes_of(p), engine, hint);
  };
  auto pd = make(t.plain_x, t.plain_y);
  const char* plain = pd.impl_info_str();
  if (is_naive(plain) || (is_better_blocked(p) && !is_by_gemm(plain))) pd = make(t.any(t.x), t.any(t.y));
  ConvPlan plan;
  plan.first = input_operand(t.plain_x, pd.src_desc(), engine);
  plan.second = input_operand(t.plain_y, pd.diff_dst_desc(), engine);
  plan.result = result_operand(t.plain_w, pd.diff_weights_desc(), engine, p.add);
  plan.primitive = FilterGrad(pd);
  plan.scratchpad = memory(pd.scratchpad_desc(), engine, nullptr);
  plan.arguments = {{DNNL_ARG_SRC, plan.first.inner},
                    {DNNL_ARG_DIFF_DST, plan.second.inner},
                    {DNNL_ARG_DIFF_WEIGHTS, plan.result.inner}};
  return plan;
}

}  // namespace

void ConvOperand::bind(void* data, char* scratch) {
  plain.set_data_handle(data);
  if (differs) inner.set_data_handle(scratch + offset);
}

void ConvOperand::convert(dnnl::stream& stream, const memory& source, const memory& target) {
  if (!differs) return;
  for (const auto& [source_offset, target_offset] : parts) {
    from.set_data_handle(static_cast<char*>(source.get_data_handle()) + source_offset);
    to.set_data_handle(static_cast<char*>(target.get_data_handle()) + target_offset);
    copy.execute(stream, from, to);
  }
}

void ConvPlan::run(dnnl::stream& stream, char* scratch, void* first_data, void* second_data, void* result_data,
                   bool packed) {
  first.bind(first_data, scratch);
  first.convert(stream, first.plain, first.inner);
  if (packed) {
    second.inner.set_data_handle(second_data);
  } else {
    second.bind(second_data, scratch);
    second.convert(stream, second.plain, second.inner);
  }
  result.bind(result_data, scratch);
  scratchpad.set_data_handle(scratch + scratchpad_offset);
  primitive.execute(stream, arguments);
  result.convert(stream, result.inner, result.plain);
}

ConvPlan& ConvPlans::find(const ConvProblem& p, int threads) {
  // A primitive splits its work when it is made: it must be made for as many threads as run it.
  omp_set_num_threads(threads);
  const int flags = int(p.bias) | int(p.add) << 1 | int(p.turned) << 2 | int(p.act) << 3 | int(p.kind) << 8;
  const std::array<int, 18> key{p.x.n, p.x.h, p.x.w, p.x.c,    p.w.n,      p.w.h,   p.w.w,   p.w.c, p.y.n,
                                p.y.h, p.y.w, p.y.c, p.stride, p.dilation, p.pad_h, p.pad_w, flags, threads};
  const auto found = plans_.find(key);
  if (found != plans_.end()) return found->second;
  try {
    ConvPlan plan = p.kind == Kind::forward      ? forward_plan(p, engine_)
                    : p.kind == Kind::input_grad ? input_grad_plan(p, engine_)
                                                 : filter_grad_plan(p, engine_);
    for (ConvOperand* o : {&plan.first, &plan.second, &plan.result}) {
      if (!o->differs) continue;
      o->offset = plan.bytes;
      plan.bytes += aligned(o->inner.get_desc().get_size());
    }
    plan.scratchpad_offset = plan.bytes;
    plan.bytes += aligned(plan.scratchpad.get_desc().get_size());
    plan.arguments.emplace(DNNL_ARG_SCRATCHPAD, plan.scratchpad);
    return plans_.emplace(key, std::move(plan)).first->second;
  } catch (const dnnl::error& e) {
    throw DeviceError(cat("oneDNN has no convolution of ", to_string(p.x), " to ", to_string(p.y), " by ",
                          to_string(p.w), ": ", e.what()));
  }
}

}  // namespace telltale
#endif
