#include "engine/layers/chain.h"

#include "engine/layers/parts.h"
#include "kernels/conv/norm.h"

namespace telltale {
namespace {

constexpr size_t kParamsOfNorm = 5;
constexpr size_t aligned(size_t bytes) { return (bytes + 255) / 256 * 256; }
size_t bytes_of(const Shape& s, DType t) { return aligned(size_t(s.numel()) * size_of(t)); }

}  // namespace

ConvChain::ConvChain(const Conv& conv) : links_{{conv.name, {}, conv.settings(), std::nullopt}} { name = conv.name; }

std::unique_ptr<Layer> ConvChain::joined(const Layer& a, const Layer& next, int position) {
  const auto* chain = dynamic_cast<const ConvChain*>(&a);
  const auto* conv = dynamic_cast<const Conv*>(&a);
  if (position != 0 || (!chain && !conv)) return nullptr;
  if (const auto* norm = dynamic_cast<const BatchNorm*>(&next)) {
    if (conv && (conv->settings().bias || conv->settings().act != Act::none)) return nullptr;
    if (chain && chain->links_.back().norm) return nullptr;
    ConvChain joined = chain ? *chain : ConvChain(*conv);
    joined.links_.back().norm = norm->settings();
    joined.links_.back().norm_name = norm->name;
    return std::make_unique<ConvChain>(std::move(joined));
  }
  const auto* behind = dynamic_cast<const Conv*>(&next);
  if (!chain || !behind || behind->settings().bias || behind->settings().act != Act::none) return nullptr;
  const auto& norm = chain->links_.back().norm;
  if (!norm || norm->residual || norm->act != Act::relu) return nullptr;
  auto joined = std::make_unique<ConvChain>(*chain);
  joined->links_.push_back({behind->name, {}, behind->settings(), std::nullopt});
  return joined;
}

std::string ConvChain::describe() const {
  std::string s;
  for (const Link& l : links_) {
    s += (s.empty() ? "" : " > ") + describe_conv("Conv", l.conv.channels, l.conv.size, l.conv.geometry);
    if (l.norm) s += std::string(" + norm") + (l.norm->residual ? " + add" : "") + act_name(l.norm->act);
  }
  return s;
}

std::vector<Shape> ConvChain::outputs(const Shape& x) const {
  std::vector<Shape> y;
  for (const Link& l : links_) {
    const Shape in = y.empty() ? x : y.back();
    y.push_back(
        checked_output(l.conv_name, {&in, 1}, {l.conv.channels, l.conv.size, l.conv.size, in.c}, l.conv.geometry));
  }
  return y;
}

size_t ConvChain::sums_bytes(DType compute) const {
  int channels = 0;
  for (const Link& l : links_) channels = std::max(channels, l.norm ? l.conv.channels : 0);
  return bytes_of({1, 1, 2, channels}, accumulator_of(compute));
}

/// Saved are each convolution's output that a norm follows, that norm's mean and 1/deviation, and the last one's mask
/// where it added a residual.
Spec ConvChain::plan(const PlanContext& c, std::span<const Shape> x) const {
  const bool residual = links_.back().norm && links_.back().norm->residual;
  check_inputs(name, x, residual ? 2 : 1);
  TT_CHECK(c.training && !c.frozen, ShapeError, name, ": a chain runs in training only, and not frozen");
  const std::vector<Shape> y = outputs(x[0]);
  TT_CHECK(!residual || x[1] == y.back(), ShapeError, links_.back().norm_name, ": adds ", to_string(x.back()), " to ",
           to_string(y.back()));
  const DType vector = accumulator_of(c.compute);
  Spec spec;
  spec.y = y.back();
  spec.keep_x = 1;
  size_t normalised = 0;
  for (size_t i = 0; i < links_.size(); ++i) {
    const Link& l = links_[i];
    const Shape in = i == 0 ? x[0] : y[i - 1];
    spec.params.push_back(
        filter_spec({l.conv_name + ".weight"}, {y[i].c, l.conv.size, l.conv.size, in.c}, l.conv.init));
    if (i > 0) normalised = std::max(normalised, bytes_of(in, c.compute));
    if (!l.norm) continue;
    for (ParamSpec& p : BatchNorm::parameters(l.norm_name, y[i].c)) spec.params.push_back(std::move(p));
    const Shape v{1, 1, 1, y[i].c};
    spec.saved.push_back({y[i], c.compute});
    spec.saved.push_back({v, vector});
    spec.saved.push_back({v, vector});
  }
  if (residual && links_.back().norm->act != Act::none) spec.saved.push_back({passed_shape(y.back()), DType::u8});
  spec.scratch = sums_bytes(c.compute) + normalised;
  // Gradients of the outputs between: of one while that of the one before it is made.
  for (size_t i = 0; i + 1 < links_.size(); ++i) {
    const size_t both = bytes_of(y[i], c.compute) + (i > 0 ? bytes_of(y[i - 1], c.compute) : 0);
    spec.backward_scratch = std::max(spec.backward_scratch, both);
  }
  return spec;
}

/// Where a link's tensors are among those of the whole layer.
struct ConvChain::Places {
  Tensor w, y, mean, rstd;
  size_t weight;  ///< index of the filter among the parameters; the norm's follow

  static std::vector<Places> of(const ConvChain& chain, const Io& io) {
    std::vector<Places> places;
    size_t weight = 0, saved = 0;
    for (const Link& l : chain.links_) {
      Places p{.w = io.w[weight], .y = io.y, .mean = {}, .rstd = {}, .weight = weight};
      weight += 1 + (l.norm ? kParamsOfNorm : 0);
      if (l.norm) {
        p.y = io.saved[saved];
        p.mean = io.saved[saved + 1];
        p.rstd = io.saved[saved + 2];
        saved += 3;
      }
      places.push_back(p);
    }
    return places;
  }
  Tensor gamma(const Io& io) const { return io.w[weight + 1]; }
  Tensor beta(const Io& io) const { return io.w[weight + 2]; }
  ChannelNorm norm(const Io& io) const { return {mean, rstd, gamma(io), beta(io)}; }
};

namespace {
/// Relu's packed mask, where plan() asked for one: the last of the saved tensors.
Tensor passed_in(const Io& io) { return io.saved.back().dtype == DType::u8 ? io.saved.back() : Tensor{}; }

/// Where the gradient of output i lies: its neighbours' lie at the other end.
Tensor between(const Tensor& scratch, size_t i, const Shape& y, DType type) {
  char* base = scratch.as<char>();
  return {i % 2 == 0 ? base : base + scratch.bytes() - bytes_of(y, type), y, type};
}
}  // namespace

void ConvChain::forward(Stream& s, const Io& io) const {
  const std::vector<Places> at = Places::of(*this, io);
  for (size_t i = 0; i < links_.size(); ++i) {
    const Link& l = links_[i];
    const DType vector = accumulator_of(io.y.dtype);
    ConvNormArgs a{.x = i == 0 ? io.x[0] : at[i - 1].y, .w = at[i].w, .y = at[i].y, .geometry = l.conv.geometry};
    char* scratch = io.scratch.as<char>();
    if (l.norm) a.sums = {scratch, {1, 1, 2, a.y.shape.c}, vector};
    if (i > 0) {
      a.norm = at[i - 1].norm(io);
      a.normalised = {scratch + sums_bytes(io.y.dtype), a.x.shape, a.x.dtype};
    }
    const bool summed = conv_norm_forward(s, a);
    if (!l.norm) return;
    BatchNormArgs n;
    n.x = a.y;
    n.y = a.y;
    n.gamma = at[i].gamma(io);
    n.beta = at[i].beta(io);
    n.mean = at[i].mean;
    n.rstd = at[i].rstd;
    n.running_mean = io.w[at[i].weight + 3];
    n.running_var = io.w[at[i].weight + 4];
    n.batches = io.w[at[i].weight + 5];
    n.momentum = l.norm->momentum;
    n.eps = l.norm->eps;
    summed ? batchnorm_statistics_of(s, n, a.sums) : batchnorm_statistics(s, n);
    if (i + 1 < links_.size()) continue;
    n.y = io.y;
    n.act = l.norm->act;
    if (l.norm->residual) n.residual = io.x[1];
    n.passed = passed_in(io);
    batchnorm_apply(s, n);
  }
}

void ConvChain::backward(Stream& s, const Io& io) const {
  const std::vector<Places> at = Places::of(*this, io);
  const Link& end = links_.back();
  // Where input and residual are one value, its gradient is written here first, then below.
  const bool one = io.dx.size() > 1 && io.dx[0].data && io.dx[0].data == io.dx[1].data;
  Tensor dy = io.dy;
  if (end.norm) {
    BatchNormGradArgs n;
    n.x = at.back().y;
    n.passed = passed_in(io);
    n.dy = n.dx = dy;
    n.gamma = at.back().gamma(io);
    n.beta = at.back().beta(io);
    n.mean = at.back().mean;
    n.rstd = at.back().rstd;
    n.dresidual_mode = end.norm->residual ? io.dx_mode[one ? 0 : 1] : GradMode::ignore;
    if (end.norm->residual) n.dresidual = io.dx[1];
    n.dgamma = io.dw[at.back().weight + 1];
    n.dbeta = io.dw[at.back().weight + 2];
    n.dw_mode = io.dw_mode[at.back().weight + 1];
    n.eps = end.norm->eps;
    n.act = end.norm->act;
    batchnorm_backward(s, n);
  }
  for (size_t i = links_.size() - 1; i > 0; --i) {
    const Places& norm = at[i - 1];
    ConvNormGradArgs g{.x = norm.y, .norm = norm.norm(io), .w = at[i].w, .dy = dy, .geometry = links_[i].conv.geometry};
    g.dx = between(io.scratch, i - 1, norm.y.shape, norm.y.dtype);
    g.dw = io.dw[at[i].weight];
    g.dgamma = io.dw[norm.weight + 1];
    g.dbeta = io.dw[norm.weight + 2];
    g.dw_mode = io.dw_mode[at[i].weight];
    conv_norm_backward(s, g);
    dy = g.dx;
  }
  ConvGradArgs g{
      .x = io.x[0], .w = at[0].w, .dy = dy, .dx = {}, .dw = {}, .dbias = {}, .geometry = links_[0].conv.geometry};
  g.dx_mode = io.dx_mode[one ? 1 : 0];
  g.dw_mode = io.dw_mode[0];
  if (g.dx_mode != GradMode::ignore) g.dx = io.dx[0];
  g.dw = io.dw[0];
  conv_backward(s, g);
}

}  // namespace telltale
