// Convolutions of a GPU by cuDNN: bias, residual and ReLU in the convolution, other activations after it. f64, empty
// batches and what cuDNN refuses go to the oracle; batches beyond 31-bit indices go in halves. In 16 bits the bias and
// dw are rounded to 16 bits on their way.
#include "kernels/conv/cudnn/convolution.h"

#if TT_CUDNN
#include <algorithm>
#include <array>
#include <cstdio>
#include <limits>
#include <map>
#include <optional>
#include <vector>

#include "kernels/cast.h"
#include "kernels/conv/cudnn/plan.h"
#include "kernels/conv/cudnn/run.h"
#include "kernels/conv/halves.h"
#include "kernels/device/buffer.h"
#include "kernels/parts/matrix_math.h"
#include "kernels/pointwise.h"
#include "kernels/reduce.h"

namespace telltale::cuda {
namespace {

using cudnn::aligned;
using cudnn::alignment_of;
using cudnn::ConvGraph;
using cudnn::ConvOp;
using cudnn::ConvPointers;
using cudnn::kTimed;
using cudnn::kTries;
using cudnn::Plan;
using Kind = ConvOp::Kind;

constexpr int kCompiled = 2;             // of cudnn::kTimed plans, those that take cuDNN seconds to compile,
constexpr double kWorthCompiling = 1e8;  // for operations of this many FLOP, or when there is nothing else

/// The plans of one stream, each chosen on its first use: from the user's cache, or by timing.
class ConvPlans {
 public:
  struct Entry {
    ConvGraph graph;
    Plan plan;
  };
  /// Null when cuDNN has no plan. `pointers()` is asked on first use only, for memory to time plans on.
  template <class F>
  Entry* find(Stream& s, const ConvOp& op, const F& pointers) {
    Choice& c = choices_[digits(op)];
    if (!c.entry && c.tries < kTries) {
      if (std::optional<Entry> e = choose(s, op, pointers(), c.tries)) c.entry.emplace(std::move(*e));
    }
    return c.entry ? &*c.entry : nullptr;
  }
  /// Zeros for `channels` biases of any type.
  void* no_bias(Stream& s, int channels) {
    const size_t bytes = size_t(channels) * sizeof(float);
    if (zeros_.empty() || zeros_.back().size() < bytes) {
      // The old ones stay: a recorded step may read them.
      const Buffer& b = zeros_.emplace_back(s.place(), std::max<size_t>(bytes, 1 << 16));
      fill_zero(s, b.view({1, 1, 1, int(b.size())}, DType::u8));
    }
    return zeros_.back().data();
  }

 private:
  static std::array<int, 21> digits(const ConvOp& o) {
    const ConvGeometry& g = o.geometry;
    return {int(o.kind), o.x.n,        o.x.h,       o.x.w,       o.x.c,           o.w.n,      o.w.h,
            o.w.w,       o.y.h,        o.y.w,       g.stride,    g.pad,           g.more_pad, g.dilation,
            int(o.act),  int(o.dtype), int(o.tf32), int(o.bias), int(o.residual), int(o.add), o.alignment};
  }

  struct Choice {
    std::optional<Entry> entry;
    int tries = 0;
  };

  /// Counts as all tries where cuDNN said, without an error, that it has nothing.
  std::optional<Entry> choose(Stream& s, const ConvOp& op, const ConvPointers& p, int& tries) {
    if (!target_) {
      target_.emplace(s);
      file_.emplace(cudnn::plan_file_of(s));
    }
    std::optional<ConvGraph> graph;
    std::vector<Plan> plans;
    ++tries;
    try {
      const size_t limit = cudnn::workspace_limit(cuda_api::memory().free);
      graph.emplace(op, *target_);
      std::optional<Plan> known = graph->remembered(file_->find(op.key()));
      if (known && known->workspace <= limit) return Entry{std::move(*graph), std::move(*known)};
      const double flops = 2.0 * double(op.y.numel()) * op.w.h * op.w.w * op.x.c;
      plans = graph->candidates(kTimed, limit, flops < kWorthCompiling ? 0 : kCompiled);
      if (plans.empty()) plans = graph->candidates(1, limit, 1);
      if (plans.empty()) tries = kTries;
    } catch (const DeviceError& e) {
      std::fprintf(stderr, "%s\n", e.what());
    }
    const std::optional<size_t> best = plans.empty() ? std::nullopt : fastest(s, op, *graph, plans, p);
    if (!best) {
      std::fprintf(stderr, "cuDNN has no plan for %s: the slow reference computes it\n", op.key().c_str());
      return std::nullopt;
    }
    return Entry{std::move(*graph), std::move(plans[*best])};
  }

  /// The fastest of the plans that run and can be recorded, which the user's cache remembers; where none can be
  /// recorded, the fastest. Where memory is too short to try them, the one that needs least, until the next time.
  std::optional<size_t> fastest(Stream& s, const ConvOp& op, const ConvGraph& graph, const std::vector<Plan>& plans,
                                ConvPointers p) {
    const auto less = [](const Plan& a, const Plan& b) { return a.workspace < b.workspace; };
    Buffer workspace, instead;
    try {
      const size_t most = std::max_element(plans.begin(), plans.end(), less)->workspace;
      workspace = Buffer(s.place(), std::max<size_t>(most, 256));
      // A result that is also read must stay as it is.
      void*& result = op.kind == Kind::forward ? p.y : op.kind == Kind::input_grad ? p.x : p.w;
      const Shape& shape = op.kind == Kind::forward ? op.y : op.kind == Kind::input_grad ? op.x : op.w;
      if (op.add || result == p.residual) {
        instead = Buffer(s.place(), size_t(shape.numel()) * size_of(op.dtype));
        result = instead.data();
      }
    } catch (const DeviceError&) {
      return std::min_element(plans.begin(), plans.end(), less) - plans.begin();
    }
    std::vector<std::pair<double, size_t>> timed;
    double least = std::numeric_limits<double>::infinity();
    const auto run = [&](size_t i) { graph.run(plans[i], p, workspace.data()); };
    for (size_t i = 0; i < plans.size(); ++i) {
      const std::optional<double> t = cudnn::seconds_if_it_runs(
          s, [&] { run(i); }, least);
      if (!t) continue;
      least = std::min(least, *t);
      timed.emplace_back(*t, i);
    }
    std::sort(timed.begin(), timed.end());
    for (const auto& [seconds, i] : timed) {
      if (!cudnn::can_be_recorded(s, [&, i = i] { run(i); })) continue;
      file_->add(op.key(), plans[i].engine);
      return i;
    }
    return timed.empty() ? std::nullopt : std::optional(timed[0].second);
  }

  std::optional<cudnn::Target> target_;
  std::optional<cudnn::PlanFile> file_;
  std::map<std::array<int, 21>, Choice> choices_;
  std::vector<Buffer> zeros_;
};

bool is_for_cudnn(const Stream& s, const Tensor& x, const Tensor& y) {
  return s.is_cuda() && x.dtype != DType::f64 && x.shape.numel() > 0 && y.shape.numel() > 0;
}

bool is_16_bit(DType t) { return size_of(t) == 2; }

bool tf32_allowed(Stream& s) { return s.resource<MatrixMath>().tf32; }

/// Runs by cuDNN on the memory that bind(front) names, `front` being that many bytes of the workspace for the caller;
/// false when cuDNN can't.
template <class Bind>
bool run(Stream& s, const ConvOp& op, size_t front, const Bind& bind) {
  auto& plans = s.resource<ConvPlans>();
  ConvPlans::Entry* e = plans.find(s, op, [&] { return bind(s.workspace(aligned(front)).data); });
  if (!e) return false;
  char* base = s.workspace(aligned(front) + e->plan.workspace).as<char>();
  e->graph.run(e->plan, bind(base), base + aligned(front));
  return true;
}

void forward(Stream& s, const ConvArgs& a, void* rounded_bias) {
  ConvPointers p{.x = a.x.data, .w = a.w.data, .y = a.y.data, .residual = a.residual.data};
  const void* bias = is_16_bit(a.x.dtype) ? rounded_bias : a.bias.data;
  const ConvOp op = cudnn::forward_op(a, alignment_of({p.x, p.w, p.y, p.residual, bias}), tf32_allowed(s));
  const bool has_16_bit_bias = a.bias && is_16_bit(op.dtype), rounds = has_16_bit_bias && !rounded_bias;
  const bool ran = run(s, op, rounds ? size_t(a.bias.shape.c) * size_of(op.dtype) : 0, [&](void* front) {
    p.bias = has_16_bit_bias ? (rounds ? front : rounded_bias)
             : a.bias        ? a.bias.data
             : op.bias       ? s.resource<ConvPlans>().no_bias(s, a.y.shape.c)
                             : nullptr;
    if (rounds) cast(s, a.bias, {front, a.bias.shape, op.dtype});
    return p;
  });
  if (!ran) return ref::conv_forward(s, a);
  if (a.act != op.act) activation_forward(s, a.y, a.y, a.act);
}

}  // namespace

void conv_forward(Stream& s, const ConvArgs& a) {
  check(a);
  if (!is_for_cudnn(s, a.x, a.y)) return ref::conv_forward(s, a);
  if (needs_halves(a.x, a.y)) {
    const auto [first, second] = halves_of(a);
    cuda::conv_forward(s, first);
    return cuda::conv_forward(s, second);
  }
  if (!a.packed) return forward(s, a, nullptr);
  ConvArgs read = a;
  read.w.data = a.packed.data;
  read.packed = {};
  forward(s, read, a.packed.as<char>() + cudnn::packed_bias_offset(a.w));
}

void conv_backward(Stream& s, const ConvGradArgs& a) {
  check(a);
  if (!is_for_cudnn(s, a.x, a.dy)) return ref::conv_backward(s, a);
  if (needs_halves(a.x, a.dy)) {
    const auto [first, second] = halves_of(a);
    cuda::conv_backward(s, first);
    return cuda::conv_backward(s, second);
  }
  if (a.dx && a.dx_mode != GradMode::ignore) {
    const ConvOp op = cudnn::input_grad_op(a, alignment_of({a.dx.data, a.w.data, a.dy.data}), tf32_allowed(s));
    const ConvPointers p{.x = a.dx.data, .w = a.w.data, .y = a.dy.data};
    if (!run(s, op, 0, [&](void*) { return p; })) {
      ConvGradArgs dx_only = a;
      dx_only.dw_mode = GradMode::ignore;
      ref::conv_backward(s, dx_only);
    }
  }
  if (a.dw_mode == GradMode::ignore) return;
  if (a.dw) {
    const bool rounds = is_16_bit(a.x.dtype);
    const void* plain_dw = rounds ? nullptr : a.dw.data;
    const ConvOp op = cudnn::filter_grad_op(a, alignment_of({a.x.data, a.dy.data, plain_dw}), tf32_allowed(s));
    Tensor dw = {nullptr, a.dw.shape, a.x.dtype};
    const bool ran = run(s, op, rounds ? dw.bytes() : 0, [&](void* front) {
      dw.data = rounds ? front : a.dw.data;
      return ConvPointers{.x = a.x.data, .w = dw.data, .y = a.dy.data};
    });
    if (!ran) {
      ConvGradArgs dw_only = a;
      dw_only.dx_mode = GradMode::ignore;
      dw_only.dbias.data = nullptr;
      ref::conv_backward(s, dw_only);
    } else if (rounds) {
      add_gradient(s, dw, a.dw, a.dw_mode);
    }
  }
  if (a.dbias) telltale::column_sums(s, a.dy, a.dbias, a.dw_mode);
}

size_t conv_packed_bytes(Stream& s, const ConvArgs& a) {
  if (!s.is_cuda() || !is_16_bit(a.x.dtype) || a.bias.shape.c == 0) return 0;
  return cudnn::packed_bias_offset(a.w) + size_t(a.w.shape.n) * size_of(a.x.dtype);
}

void conv_pack(Stream& s, const ConvArgs& a, Tensor packed) {
  if (cuda::conv_packed_bytes(s, a) == 0) return;
  copy(s, {packed.data, a.w.shape, a.w.dtype}, a.w);
  cast(s, a.bias, {packed.as<char>() + cudnn::packed_bias_offset(a.w), a.bias.shape, a.w.dtype});
}

}  // namespace telltale::cuda

namespace telltale::cudnn {
void conv_forward(Stream& s, const ConvArgs& a, void* rounded_bias) { cuda::forward(s, a, rounded_bias); }
}  // namespace telltale::cudnn
#endif
