#include "nets/trace_locator.h"

#include <array>

#include "engine/layers/fixed.h"
#include "engine/layers/traces.h"
#include "nets/build.h"

namespace telltale {
namespace {

/// First and second differences, Laplacians, and the third-order ones of steganalysis (Fridrich 2012), of brightness;
/// the Laplacian of two colour differences. Every product of a tap and a colour's share is a binary fraction of at most
/// 8 bits, so that flat colour leaves exactly nothing in every type.
std::vector<float> residual_filters(float gain = 1) {
  using Taps = std::array<float, 25>;
  constexpr Taps kLaplacian = {0, 0, 0, 0, 0, 0, 0, -1, 0, 0, 0, -1, 4, -1, 0, 0, 0, -1};
  constexpr Taps kBrightness[] = {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, -1, 1},
                                  {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, -1, 0, 0, 0, 0, 1},
                                  {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, -2, 1},
                                  {0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, -2, 0, 0, 0, 0, 1},
                                  kLaplacian,
                                  {0, 0, 0, 0, 0, 0, -1, 2, -1, 0, 0, 2, -4, 2, 0, 0, -1, 2, -1},
                                  {-.25f, .5f,  -.5f, .5f,   -.25f, .5f,   -1.5f, 2,     -1.5f, .5f,  -.5f, 2,    -3,
                                   2,     -.5f, .5f,  -1.5f, 2,     -1.5f, .5f,   -.25f, .5f,   -.5f, .5f,  -.25f},
                                  {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, -3, 3, -1}};
  const float scale = gain / 8 / 16;  // of sixteenths, below
  std::vector<float> filters;
  const auto add = [&](const Taps& taps, const std::array<float, 3>& sixteenths) {
    for (const float tap : taps)
      for (const float share : sixteenths) filters.push_back(tap * share * scale);
  };
  for (const Taps& taps : kBrightness) add(taps, {5, 9, 2});
  add(kLaplacian, {-3, -5, 8});
  add(kLaplacian, {8, -7, -1});
  return filters;
}

class Builder {
 public:
  Builder(Graph& g, const TraceLocatorSettings& s) : g_(g), s_(s) {}

  Value logits(Value x) const {
    const bool coefficients = s_.magnitude || s_.history || s_.earlier;
    TT_CHECK(s_.residuals || coefficients, UsageError, "a locator needs a trace to look at");
    TT_CHECK(s_.scales == 1 || (s_.scales == 2 && s_.residuals), UsageError, "residuals at ", s_.scales,
             " scales: 1 or 2 are known, and 2 need residuals");
    Value quarter{}, pixels{}, blocks{};
    if (s_.residuals) {
      const Value residuals = high_pass("residuals", x);
      const Value half = block("p2.1", block("p2.0", residuals, 24, 5, 2), 24);
      quarter = block("p4.1", block("p4.0", half, 32, 3, 2), 32);
      pixels = block("p8", quarter, 48, 3, 2);
    }
    if (coefficients) blocks = block("d.1", block("d.0", traces(x), 64, 1), 48, 1);
    const bool both = s_.residuals && coefficients;
    Value joined = both ? g_.add<Concat>("join8", {pixels, blocks}) : s_.residuals ? pixels : blocks;
    if (s_.scales == 2) joined = g_.add<Concat>("join8.halved", {joined, halved(x)});
    const Value first = block("t1", contrast("contrast1", joined), 64, 1);
    const Value second = g_.add<Add>("t2", {first, block("t2.1", block("t2.0", first, 64), 64, 3, 1, 2)});
    const Value third = block("t3.0", contrast("contrast2", second), 64, 1);
    const Value trunk = block("t3.2", block("t3.1", third, 64, 3, 1, 4), 64);
    const Value coarse = logit_head(g_, "out8", trunk);
    if (!s_.residuals) return g_.add<Upsample>("up8", {coarse}, 4);
    const Value beside = g_.add<Concat>("join4", {g_.add<Upsample>("up8.trunk", {trunk}, 2), quarter});
    const Value fine = logit_head(g_, "out4", block("r.1", block("r.0", beside, 32), 32));
    return g_.add<Upsample>("up4", {g_.add<Add>("sum4", {fine, g_.add<Upsample>("up8", {coarse}, 2)})}, 2);
  }

 private:
  Value high_pass(const std::string& name, Value x, float gain = 1) const {
    return g_.add<FixedConv>(name, {x}, FixedConv::Settings{10, 5, {1, 2, 1}, residual_filters(gain), Act::tanh});
  }
  /// At 1/8 of the picture's size, from residuals at half its size. There they are about twice as strong.
  Value halved(Value x) const {
    std::vector<float> mean(3 * 4 * 3);
    for (size_t colour = 0; colour < 3; ++colour)
      for (size_t tap = 0; tap < 4; ++tap) mean[(colour * 4 + tap) * 3 + colour] = 1.0f / 4;
    const Value half = g_.add<FixedConv>("halved", {x}, FixedConv::Settings{3, 2, {2, 0, 1}, mean});
    const Value quarter = block("h4.1", block("h4.0", high_pass("residuals.halved", half, 0.5f), 24, 5, 2), 24);
    return block("h8", quarter, 32, 3, 2);
  }
  Value traces(Value x) const {
    if (!s_.magnitude && !s_.history) return g_.add<EarlierJpeg>("earlier", {x});
    const CoefficientTraces::Settings which{s_.magnitude, s_.history};
    const Value today = g_.add<CoefficientTraces>("coefficients", {x}, which);
    return s_.earlier ? g_.add<Concat>("traces", {today, g_.add<EarlierJpeg>("earlier", {x})}) : today;
  }
  /// Channels are those of width 24.
  Value block(const std::string& name, Value x, int channels, int size = 3, int stride = 1, int dilation = 1) const {
    const int scaled = std::max(4, channels * s_.width / 24 / 4 * 4);
    return conv_bn_relu(g_, name, x, scaled, stride, size, dilation);
  }
  Value contrast(const std::string& name, Value x) const { return s_.contrast ? g_.add<Contrast>(name, {x}) : x; }
  Graph& g_;
  const TraceLocatorSettings& s_;
};

}  // namespace

Value trace_locator(Graph& g, Value x, const TraceLocatorSettings& s) { return Builder(g, s).logits(x); }

}  // namespace telltale
