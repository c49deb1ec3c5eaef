#include "nets/locator.h"

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
Value traces(Graph& g, Value x, bool residuals) {
  constexpr float kColour = 1.0f / 64;
  const std::vector<float> identity = {kColour, 0, 0, 0, kColour, 0, 0, 0, kColour};
  const Value colours = g.add<FixedConv>("colours", {x}, FixedConv::Settings{3, 1, {}, identity});
  if (!residuals) return colours;
  const FixedConv::Settings high_pass{9, 3, {1, 1, 1}, residual_filters(), Act::tanh};
  return g.add<Concat>("traces", {colours, g.add<FixedConv>("residuals", {x}, high_pass)});
}

Value block(Graph& g, const std::string& name, Value x, int channels, int stride = 1, int size = 3) {
  x = conv(g, name + ".conv", x, {channels, size, {stride, size / 2, 1}, /*bias=*/false});
  return relu(g, name + ".relu", g.add<BatchNorm>(name + ".bn", {x}));
}

/// Enlarged twofold, beside what the encoder had there.
Value join(Graph& g, const std::string& name, Value low, Value skip, int channels) {
  const Value up = g.add<Upsample>(name + ".up", {low}, 2);
  return block(g, name, g.add<Concat>(name + ".join", {up, skip}), channels);
}

}  // namespace

Value locator(Graph& g, Value x, const LocatorSettings& s) {
  const int w = s.width;
  const Value half = block(g, "enc2.1", block(g, "enc2.0", traces(g, x, s.residuals), w, 2, 5), w);
  const Value quarter = block(g, "enc4.1", block(g, "enc4.0", half, 2 * w, 2), 2 * w);
  Value eighth = block(g, "enc8.0", quarter, 4 * w, 2);
  for (const char* name : {"enc8.1", "enc8.2"}) eighth = block(g, name, eighth, 4 * w);
  const Value joined = join(g, "dec2", join(g, "dec4", eighth, quarter, 2 * w), half, w);
  Conv::Settings head{1, 1, {}};
  head.init = InitRule::uniform_fan_in;  // of one output: over outputs its logits would start far out
  return conv(g, "head", joined, head);
}

}  // namespace telltale
