#pragma once
// Every net as a graph builder. Names are those of the state_dicts people have: torchvision's, and DeepFillv2's of two
// families.
#include <array>
#include <string>
#include <utility>
#include <vector>

#include "engine/graph.h"

namespace telltale {

/// What all detectors take. `width` scales every channel count (≥ 8 stays a multiple of 8): below 1 for tests and small
/// machines.
struct DetectorSettings {
  int outputs = 5;
  double width = 1;
  float dropout = 0.5f;  ///< AlexNet's and VGG11's; 0 leaves the layers out
};

// Each adds the net over x {N,H,W,3} (normalised) and returns its logits {N,1,1,outputs}.
/// Krizhevsky 2014, "One weird trick", as torchvision has it: features.{0,3,6,8,10}, classifier.{1,4,6}.
Value alexnet(Graph&, Value x, const DetectorSettings& = {});
/// Simonyan & Zisserman 2015, configuration A: features.{0,3,6,8,11,13,16,18}, classifier.{0,3,6}.
Value vgg11(Graph&, Value x, const DetectorSettings& = {});
/// VGG11's first `blocks` (1 to 5) blocks of convolutions, each but the first behind a pooling that halves the image.
/// Returns each block's last activations.
std::vector<Value> vgg11_features(Graph&, Value x, int blocks, double width = 1);
/// He et al. 2016: conv1, bn1, layer{1..4}.{i}.{conv,bn}{1,2}, downsample.{0,1}, fc.
Value resnet18(Graph&, Value x, const DetectorSettings& = {});
/// ResNet-18's stem and its first `stages` (1 to 4) stages, for images whose sides are multiples of 8. From the third
/// on a stage keeps its size and is dilated instead (Yu & Koltun 2016). Returns the stem's activations at half the
/// size, then each stage's: at a quarter, and at an eighth.
std::vector<Value> resnet18_features(Graph&, Value x, int stages, double width = 1);
/// He et al. 2016 in the v1.5 form (stride on the 3×3).
Value resnet50(Graph&, Value x, const DetectorSettings& = {});

/// A detector by name.
struct DetectorNet {
  const char* name;
  Value (*build)(Graph&, Value, const DetectorSettings&);
  const char* first;  ///< the first filter: its outputs tell the width
  const char* head;   ///< the last layer: what replaces the 1000 classes, and what alone trains under --freeze-backbone
};
const std::vector<DetectorNet>& detector_nets();
/// Throws UsageError listing the known nets.
const DetectorNet& detector_net(const std::string& name);

/// DeepFillv2's generator (Yu et al. 2019), family csqiangwen. image {N,H,W,3} in [0,1], mask {N,H,W,1} (1 = hole); H,
/// W multiples of 8. Returns {coarse, refined}, both in [−1,1] before composition. width: channels of the first
/// convolution (48 as published; even).
struct Inpainted {
  Value coarse, refined;
};
/// A window of each image that holds its hole: what lies outside need not be painted. Inside the hole the net computes
/// what it does without, provided that the window reaches kWindowMargin pixels beyond the hole or to the image's
/// border.
struct HoleWindow {
  Value corner{};  ///< i32 {N,1,1,2}: row and column of the first pixel, multiples of 4
  int side = 0;    ///< of the windows, a multiple of 4; 0: none, everything is painted
};
/// How far two 3×3 convolutions at a quarter of the size, two at half and three at full size look.
inline constexpr int kWindowMargin = 15;
/// With a window both results are {N,side,side,3}: what the last layers made of it, at a cost that falls with its area.
/// For inference only.
Inpainted deepfill_v2(Graph&, Value image, Value mask, int width = 48, const HoleWindow& = {});

/// The family `official` in its two forms. tensorflow: the authors' net, its weights as nipponjo's port renames them
/// (conv1 … allconv17); strided convolutions pad as TensorFlow's SAME, shrinking aligns corners, attention is not
/// fused. torch: what that port trains (stage1.*, stage2.*); symmetric padding, PyTorch's shrinking, fused attention.
enum class OfficialForm : uint8_t { tensorflow, torch };
/// DeepFillv2's generator, family official. As deepfill_v2, but for the image in [−1,1] and width (48 as published; a
/// multiple of 4): here the first convolution has width/2 channels beside as many gates.
Inpainted deepfill_v2_official(Graph&, Value image, Value mask, int width = 48,
                               OfficialForm form = OfficialForm::tensorflow, const HoleWindow& = {});

/// A generator by the name of its family.
struct GeneratorNet {
  const char* name;
  Inpainted (*add)(Graph&, Value image, Value mask, int width, const HoleWindow&);
  float black;                        ///< in its images and in what it paints; white is 1
  const char* first;                  ///< a filter with width outputs in a state_dict
  int width_step;                     ///< width is a multiple of this
  std::array<const char*, 2> to_rgb;  ///< the layers that make the three colours
  Inpainted build(Graph& g, Value image, Value mask, int width, const HoleWindow& window = {}) const {
    return add(g, image, mask, width, window);
  }
};
const std::vector<GeneratorNet>& generator_nets();
/// Throws UsageError listing the known families.
const GeneratorNet& generator_net(const std::string& name);

/// What DeepFillv2's discriminator may be made into.
struct PatchGanSettings {
  static constexpr int kLayers = 6;
  int width = 64;        ///< channels of the first convolution
  int layers = kLayers;  ///< fewer leave out the last ones and judge smaller patches, as pix2pix (Isola et al. 2017)
  /// Above 0 it is shown, beside the image, `grain` times the image's high frequencies (kPatchGanGrain): under spectral
  /// norm scores cannot differ by more than what is seen does, and grain is a few hundredths of the range of shades.
  double grain = 0;
};
/// DeepFillv2's discriminator: 5×5 convolutions of stride 2 under spectral norm, each followed by leaky ReLU 0.2, of
/// width·{1,2,4,4,4,4} channels: conv1 … conv6. x {N,H,W,4}: a completed image, and its mask; any sizes. Returns the
/// scores of all patches, {N,⌈H/2^layers⌉,⌈W/2^layers⌉,channels}, each over 2^(layers+2) − 3 pixels: 253 for six
/// layers, 61 for four.
Value patch_gan(Graph&, Value x, const PatchGanSettings& = {});
/// The layer that filters high frequencies, frozen, and what its weight {3,5,5,4} must be set to: the image less itself
/// blurred by binomial weights (1 4 6 4 1)/16, channel by channel, times `grain`.
inline constexpr const char* kPatchGanGrain = "grain";
std::vector<double> patch_gan_grain(double grain);

}  // namespace telltale
