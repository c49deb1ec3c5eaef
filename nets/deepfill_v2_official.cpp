// DeepFillv2's generator as its authors released it: split gates, and image, ones and mask as input. Layer by layer
// under both spellings that people's files have.
#include <span>

#include "nets/build.h"

namespace telltale {
namespace {

/// One gated convolution: its two names, and its channels in units of `width`.
struct Step {
  const char *tensorflow, *torch;
  double channels;
  int size = 3, stride = 1, dilation = 1;
  bool up = false;  ///< doubles its input first, and sits one level deeper in the state_dict
  Act act = Act::elu;
};

constexpr Step kCoarse[] = {{"conv1", "conv1", 0.5, 5},
                            {"conv2_downsample", "down_block1.conv1_downsample", 1, 3, 2},
                            {"conv3", "down_block1.conv2", 1},
                            {"conv4_downsample", "down_block2.conv1_downsample", 2, 3, 2},
                            {"conv5", "down_block2.conv2", 2},
                            {"conv6", "conv_bn1", 2},
                            {"conv7_atrous", "conv_bn2", 2, 3, 1, 2},
                            {"conv8_atrous", "conv_bn3", 2, 3, 1, 4},
                            {"conv9_atrous", "conv_bn4", 2, 3, 1, 8},
                            {"conv10_atrous", "conv_bn5", 2, 3, 1, 16}};
constexpr Step kCoarseDecoder[] = {{"conv11", "conv_bn6", 2},
                                   {"conv12", "conv_bn7", 2},
                                   {"conv13_upsample", "up_block1.conv1_upsample", 1, 3, 1, 1, true},
                                   {"conv14", "up_block1.conv2", 1},
                                   {"conv15_upsample", "up_block2.conv1_upsample", 0.5, 3, 1, 1, true},
                                   {"conv16", "up_block2.conv2", 0.25}};
constexpr Step kConvolved[] = {{"xconv1", "conv_conv1", 0.5, 5},
                               {"xconv2_downsample", "conv_down_block1.conv1_downsample", 0.5, 3, 2},
                               {"xconv3", "conv_down_block1.conv2", 1},
                               {"xconv4_downsample", "conv_down_block2.conv1_downsample", 1, 3, 2},
                               {"xconv5", "conv_down_block2.conv2", 2},
                               {"xconv6", "conv_conv_bn1", 2},
                               {"xconv7_atrous", "conv_conv_bn2", 2, 3, 1, 2},
                               {"xconv8_atrous", "conv_conv_bn3", 2, 3, 1, 4},
                               {"xconv9_atrous", "conv_conv_bn4", 2, 3, 1, 8},
                               {"xconv10_atrous", "conv_conv_bn5", 2, 3, 1, 16}};
constexpr Step kBeforeAttention[] = {
    {"pmconv1", "ca_conv1", 0.5, 5},        {"pmconv2_downsample", "ca_down_block1.conv1_downsample", 0.5, 3, 2},
    {"pmconv3", "ca_down_block1.conv2", 1}, {"pmconv4_downsample", "ca_down_block2.conv1_downsample", 2, 3, 2},
    {"pmconv5", "ca_down_block2.conv2", 2}, {"pmconv6", "ca_conv_bn1", 2, 3, 1, 1, false, Act::relu}};
constexpr Step kAfterAttention[] = {{"pmconv9", "ca_conv_bn4", 2}, {"pmconv10", "ca_conv_bn5", 2}};
constexpr Step kJoined[] = {{"allconv11", "conv_bn6", 2},
                            {"allconv12", "conv_bn7", 2},
                            {"allconv13_upsample", "up_block1.conv1_upsample", 1, 3, 1, 1, true},
                            {"allconv14", "up_block1.conv2", 1},
                            {"allconv15_upsample", "up_block2.conv1_upsample", 0.5, 3, 1, 1, true},
                            {"allconv16", "up_block2.conv2", 0.25}};

/// Adds the layers of one of the forms.
struct Builder {
  Graph& graph;
  int width;
  OfficialForm form;

  std::string name(int stage, const char* tensorflow, const char* torch) const {
    return form == OfficialForm::tensorflow ? tensorflow : cat("stage", stage, ".", torch);
  }

  /// The image's size divided by the stride; at a stride of 2 the forms see different pixels.
  ConvGeometry geometry(const Step& s) const {
    const int pad = s.dilation * (s.size / 2);
    if (s.stride == 1 || form == OfficialForm::torch) return {s.stride, pad, s.dilation};
    return {s.stride, pad - 1, s.dilation, 1};
  }

  Value run(int stage, Value x, std::span<const Step> steps) const {
    for (const Step& s : steps) {
      std::string layer = name(stage, s.tensorflow, s.torch);
      if (s.up) {
        x = graph.add<Upsample>(layer + ".up", {x}, 2);
        layer += ".conv";
      }
      const GatedConv::Settings settings{int(s.channels * width), s.size, geometry(s), s.act, true};
      x = graph.add<GatedConv>(layer, {x}, settings);
    }
    return x;
  }

  /// The last convolution has no gate; tanh follows.
  Value to_rgb(int stage, const char* tensorflow, Value x) const {
    const std::string layer = name(stage, tensorflow, "conv_to_rgb");
    x = conv(graph, layer + ".conv", x, {.channels = 3, .size = 3, .geometry = {1, 1, 1}});
    return graph.add<Activation>(layer + ".tanh", {x}, Act::tanh);
  }
};

}  // namespace

Inpainted deepfill_v2_official(Graph& g, Value image, Value mask, int width, OfficialForm form,
                               const HoleWindow& window) {
  TT_CHECK(width >= 4 && width % 4 == 0, ShapeError, "deepfill_v2_official: width must be a multiple of 4, got ",
           width);
  const Builder net{g, width, form};
  const Value holed = g.add<FillHole>("hole", {image, mask}, 0.0f);
  const Value ones = g.add<ConstantChannel>("ones", {mask}, 1.0f);
  const Value in = g.add<Concat>("coarse.in", {holed, ones, mask});
  const Value encoded = crop(g, "coarse.window", net.run(1, in, kCoarse), window);
  const Value coarse = net.to_rgb(1, "conv17", net.run(1, encoded, kCoarseDecoder));

  const Value filled = blend(g, "refine.blend", image, coarse, mask, window);
  const Value convolved = crop(g, "refine.window.conv", net.run(2, filled, kConvolved), window);
  // The mask is shrunk once, by 8: what the attention then sees of it is the same whichever pixel of a pair it takes.
  const bool aligned = form == OfficialForm::tensorflow;
  const Value smallest = g.add<Downsample>("refine.mask", {mask}, 8, aligned);
  const Value small_mask = g.add<Upsample>("refine.mask.up", {smallest}, 2);
  Value attended = net.run(2, filled, kBeforeAttention);
  attended = g.add<ContextualAttention>("refine.attention", {attended, small_mask},
                                        AttentionForm{.fused = !aligned, .clamped = true, .aligned = aligned});
  attended = crop(g, "refine.window.atten", net.run(2, attended, kAfterAttention), window);
  const Value joined = g.add<Concat>("refine.join", {convolved, attended});
  const Value refined = net.to_rgb(2, "allconv17", net.run(2, joined, kJoined));
  g.output(coarse);
  g.output(refined);
  return {coarse, refined};
}

}  // namespace telltale
