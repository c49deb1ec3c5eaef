#include "nets/locator.h"

#include "engine/layers/bayar.h"
#include "engine/layers/fixed.h"
#include "nets/build.h"

namespace telltale {
namespace {

/// Of each colour the differences to the pixel at the right and below, and the Laplacian: {9,3,3,3}. Binary fractions,
/// so that bytes in and residuals out are exact in every type.
std::vector<float> residual_filters() {
  constexpr float kTaps[3][9] = {{0, 0, 0, 0, -1, 1, 0, 0, 0},  //
                                 {0, 0, 0, 0, -1, 0, 0, 1, 0},
                                 {0, -1, 0, -1, 4, -1, 0, -1, 0}};
  constexpr float kScale = 1.0f / 8;
  std::vector<float> filters;
  for (const auto& taps : kTaps)
    for (int colour = 0; colour < 3; ++colour)
      for (const float tap : taps)
        for (int c = 0; c < 3; ++c) filters.push_back(c == colour ? tap * kScale : 0);
  return filters;
}

/// What the encoder reads: colours from 0 to about 4, and residuals through tanh, which keeps small ones apart and
/// large ones from drowning them.
Value traces(Graph& g, Value x, const LocatorSettings& s) {
  constexpr float kColour = 1.0f / 64;
  constexpr int kBayar = 3;
  const std::vector<float> identity = {kColour, 0, 0, 0, kColour, 0, 0, 0, kColour};
  Value seen = g.add<FixedConv>("colours", {x}, FixedConv::Settings{3, 1, {}, identity});
  const auto beside = [&](const char* name, Value residuals) { seen = g.add<Concat>(name, {seen, residuals}); };
  if (s.residuals)
    beside("traces",
           g.add<FixedConv>("residuals", {x}, FixedConv::Settings{9, 3, {1, 1, 1}, residual_filters(), Act::tanh}));
  if (s.bayar) {
    const BayarConv::Settings learnt{kBayar, 5, {1, 2, 1}, 1.0f / 8};
    beside("bayar.join", g.add<Activation>("bayar.tanh", {g.add<BayarConv>("bayar", {x}, learnt)}, Act::tanh));
  }
  return seen;
}

}  // namespace

Value locator(Graph& g, Value x, const LocatorSettings& s) {
  const int w = s.width;
  const Value half = conv_bn_relu(g, "enc2.1", conv_bn_relu(g, "enc2.0", traces(g, x, s), w, 2, 5), w);
  const Value quarter = conv_bn_relu(g, "enc4.1", conv_bn_relu(g, "enc4.0", half, 2 * w, 2), 2 * w);
  Value eighth = conv_bn_relu(g, "enc8.0", quarter, 4 * w, 2);
  for (const char* name : {"enc8.1", "enc8.2"}) eighth = conv_bn_relu(g, name, eighth, 4 * w);
  const Value joined = join(g, "dec2", join(g, "dec4", eighth, quarter, 2 * w), half, w);
  return logit_head(g, "head", joined);
}

}  // namespace telltale
