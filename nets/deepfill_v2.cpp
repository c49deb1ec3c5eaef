// DeepFillv2's generator (Yu et al. 2019, fig. 3), family csqiangwen: a coarse net, then two refining branches, one
// with contextual attention.
#include <span>

#include "nets/build.h"

namespace telltale {
namespace {

/// One gated convolution: channels in units of `width`, given as a fraction.
struct Step {
  double channels;
  int size = 3, stride = 1, dilation = 1;
  bool up = false;  ///< doubles its input first, and sits one level deeper in the state_dict
  Act act = Act::elu;
};

constexpr Step kCoarse[] = {{1, 5}, {2, 3, 2},    {2},          {4, 3, 2},    {4},
                            {4},    {4, 3, 1, 2}, {4, 3, 1, 4}, {4, 3, 1, 8}, {4, 3, 1, 16}};
constexpr Step kCoarseDecoder[] = {{4}, {4}, {2, 3, 1, 1, true}, {2}, {1, 3, 1, 1, true}, {0.5}};
constexpr Step kRefineConv[] = {{1, 5}, {1, 3, 2},    {2},          {2, 3, 2},    {4},
                                {4},    {4, 3, 1, 2}, {4, 3, 1, 4}, {4, 3, 1, 8}, {4, 3, 1, 16}};
constexpr Step kRefineAttention[] = {{1, 5}, {1, 3, 2}, {2}, {4, 3, 2}, {4}, {4, 3, 1, 1, false, Act::relu}};
constexpr Step kAttended[] = {{4}, {4}};
constexpr Step kCombine[] = {{4}, {4}, {2, 3, 1, 1, true}, {2}, {1, 3, 1, 1, true}, {0.5}};

/// Adds a stage's steps, numbered from `index`.
Value run(Graph& g, const std::string& stage, Value x, std::span<const Step> steps, int width, size_t index = 0) {
  for (const Step& s : steps) {
    std::string name = cat(stage, ".", index++);
    if (s.up) {
      x = g.add<Upsample>(name + ".up", {x}, 2);
      name += ".gated_conv2d";
    }
    const int pad = s.dilation * (s.size / 2);
    const GatedConv::Settings settings{int(s.channels * width), s.size, {s.stride, pad, s.dilation}, s.act};
    x = g.add<GatedConv>(name, {x}, settings);
  }
  return x;
}

/// The last gated convolution has no activation of its own; tanh follows.
Value to_rgb(Graph& g, const std::string& stage, size_t index, Value x) {
  x = g.add<GatedConv>(cat(stage, ".", index), {x}, GatedConv::Settings{3, 3, {1, 1, 1}, Act::none});
  return g.add<Activation>(cat(stage, ".", index + 1), {x}, Act::tanh);
}

}  // namespace

Inpainted deepfill_v2(Graph& g, Value image, Value mask, int width, const HoleWindow& window) {
  TT_CHECK(width >= 2 && width % 2 == 0, ShapeError, "deepfill_v2: width must be even and at least 2, got ", width);
  const Value holed = g.add<FillHole>("hole", {image, mask}, 1.0f);
  Value coarse = run(g, "coarse", g.add<Concat>("coarse.in", {holed, mask}), kCoarse, width);
  coarse = crop(g, "coarse.window", coarse, window);
  coarse = run(g, "coarse", coarse, kCoarseDecoder, width, std::size(kCoarse));
  coarse = to_rgb(g, "coarse", std::size(kCoarse) + std::size(kCoarseDecoder), coarse);
  const Value filled = blend(g, "refine.blend", image, coarse, mask, window);
  const Value in = g.add<Concat>("refine.in", {filled, mask});
  Value convolved = run(g, "refine_conv", in, kRefineConv, width);
  Value attended = run(g, "refine_atten_1", in, kRefineAttention, width);
  const Value small_mask = g.add<Downsample>("refine.mask", {mask}, 4);
  attended = g.add<ContextualAttention>("refine.attention", {attended, small_mask});
  attended = run(g, "refine_atten_2", attended, kAttended, width);
  convolved = crop(g, "refine.window.conv", convolved, window);
  attended = crop(g, "refine.window.atten", attended, window);
  Value refined = run(g, "refine_combine", g.add<Concat>("refine.join", {convolved, attended}), kCombine, width);
  refined = to_rgb(g, "refine_combine", std::size(kCombine), refined);
  g.output(coarse);
  g.output(refined);
  return {coarse, refined};
}

}  // namespace telltale
