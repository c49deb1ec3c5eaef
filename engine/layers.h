#pragma once
// Every layer. Each is settings, a plan and calls of kernels; the arithmetic lives in kernels/.
#include "engine/layer.h"
#include "kernels/attention.h"
#include "kernels/conv.h"

namespace telltale {
struct PreprocessArgs;

/// How filters start: He et al. 2015 over outputs (torchvision's ResNets and VGG), or U(±1/√fan_in) (torch's default:
/// AlexNet), or N(0, 0.01).
enum class InitRule : uint8_t { kaiming_fan_out, kaiming_fan_in, uniform_fan_in, normal_001 };

/// 2-D convolution of one square filter. Parameters: weight {K,R,S,C}, bias {1,1,1,K}.
class Conv : public LayerOf<Conv> {
 public:
  struct Settings {
    int channels, size;
    ConvGeometry geometry;
    bool bias = true;
    Act act = Act::none;
    InitRule init = InitRule::kaiming_fan_out;
  };
  explicit Conv(const Settings& s) : s_(s) {}
  std::string describe() const override;
  Spec plan(const PlanContext&, std::span<const Shape>) const override;
  void prepare(Stream&, const Io&) const override;
  void forward(Stream&, const Io&) const override;
  void backward(Stream&, const Io&) const override;
  std::unique_ptr<Layer> absorb(const Layer&, int, bool) const override;
  /// Gradients from a dy that is through the activation already.
  void backward_products(Stream&, const Io&, bool with_bias) const;
  const Settings& settings() const { return s_; }

 private:
  ConvArgs args(const Io&) const;
  Settings s_;
};

/// Batch norm; after fusion also + x[1] and relu. Parameters: weight, bias, running_mean, running_var,
/// num_batches_tracked.
class BatchNorm : public LayerOf<BatchNorm> {
 public:
  struct Settings {
    float eps = 1e-5f, momentum = 0.1f;
    bool residual = false;
    Act act = Act::none;
  };
  BatchNorm() = default;
  explicit BatchNorm(const Settings& s) : s_(s) {}
  std::string describe() const override;
  Spec plan(const PlanContext&, std::span<const Shape>) const override;
  void forward(Stream&, const Io&) const override;
  void backward(Stream&, const Io&) const override;
  std::unique_ptr<Layer> absorb(const Layer&, int, bool) const override;
  const Settings& settings() const { return s_; }
  /// weight, bias, running_mean, running_var, num_batches_tracked of a batch norm called `name`.
  static std::vector<ParamSpec> parameters(const std::string& name, int channels);

 private:
  Settings s_;
};

/// Convolution with a constant batch norm folded into its filter and bias, + x[1] and activation. Made by fusion only;
/// never trains.
class ConvBatchNorm : public LayerOf<ConvBatchNorm> {
 public:
  ConvBatchNorm(const Conv& conv, const BatchNorm& norm);
  std::string describe() const override;
  Spec plan(const PlanContext&, std::span<const Shape>) const override;
  void prepare(Stream&, const Io&) const override;
  void forward(Stream&, const Io&) const override;
  std::unique_ptr<Layer> absorb(const Layer&, int, bool) const override;
  /// The folded filter, into w of any floating-point type, and its bias; prepare's part.
  void fold(Stream&, const Io&, Tensor w, Tensor bias) const;
  const Conv::Settings& conv() const { return conv_; }
  const BatchNorm::Settings& norm() const { return norm_; }

 private:
  ConvArgs args(const Shape& x, const Shape& y, DType compute) const;
  Conv::Settings conv_;
  BatchNorm::Settings norm_;
  std::string conv_name_, norm_name_;
};

/// Gated convolution: act(value)·sigmoid(gate), both by one convolution of 2K channels. Parameters: weight {2K,R,S,C}
/// and bias {1,1,1,2K}; in a state_dict two tensors each, `name`.{conv2d, mask_conv2d}, or one, `name`.conv.
class GatedConv : public LayerOf<GatedConv> {
 public:
  struct Settings {
    int channels, size;
    ConvGeometry geometry;
    Act act = Act::elu;
    bool one_tensor = false;  ///< in a state_dict
  };
  explicit GatedConv(const Settings& s) : s_(s) {}
  std::string describe() const override;
  Spec plan(const PlanContext&, std::span<const Shape>) const override;
  void prepare(Stream&, const Io&) const override;
  void forward(Stream&, const Io&) const override;
  void backward(Stream&, const Io&) const override;
  const Settings& settings() const { return s_; }
  /// weight and bias over inputs of `channels`.
  std::vector<ParamSpec> parameters(int channels) const;

 private:
  ConvArgs args(const Io&, Tensor z) const;
  Settings s_;
};

/// Upsample by 2 before a gated 3×3 convolution of stride 1, with 4/9 of the products: each of the four pixels that a
/// pixel becomes sees 2×2 others, under sums of the filter's taps. So one 2×2 convolution of the small image gives all
/// four, and the gate spreads them. Made by fusion only; never trains.
class UpGatedConv : public LayerOf<UpGatedConv> {
 public:
  explicit UpGatedConv(const GatedConv& gated) : gated_(gated) { name = gated.name; }
  /// Whether it computes the same.
  static bool fits(int factor, const GatedConv& gated);
  std::string describe() const override;
  Spec plan(const PlanContext&, std::span<const Shape>) const override;
  void prepare(Stream&, const Io&) const override;
  void forward(Stream&, const Io&) const override;
  /// The 2×2 convolution of x: shapes and types only.
  ConvArgs conv(const Shape& x, DType compute) const;

 private:
  GatedConv gated_;
};

/// y = act(x).
class Activation : public LayerOf<Activation> {
 public:
  explicit Activation(Act act) : act(act) {}
  std::string describe() const override;
  Spec plan(const PlanContext&, std::span<const Shape>) const override;
  void forward(Stream&, const Io&) const override;
  void backward(Stream&, const Io&) const override;
  std::unique_ptr<Layer> absorb(const Layer&, int, bool) const override;
  const Act act;
};

/// y = x[0] + x[1].
class Add : public LayerOf<Add> {
 public:
  std::string describe() const override { return "Add"; }
  Spec plan(const PlanContext&, std::span<const Shape>) const override;
  void forward(Stream&, const Io&) const override;
  void backward(Stream&, const Io&) const override;
};

/// Joins channels.
class Concat : public LayerOf<Concat> {
 public:
  std::string describe() const override { return "Concat"; }
  Spec plan(const PlanContext&, std::span<const Shape>) const override;
  void forward(Stream&, const Io&) const override;
  void backward(Stream&, const Io&) const override;
};

/// y = x[0]·(1 − x[2]) + x[1]·x[2], x[2] a one-channel mask.
class Blend : public LayerOf<Blend> {
 public:
  std::string describe() const override { return "Blend"; }
  Spec plan(const PlanContext&, std::span<const Shape>) const override;
  void forward(Stream&, const Io&) const override;
  void backward(Stream&, const Io&) const override;
};

/// x where the mask x[1] is 0, a constant where it is 1: an image with its hole painted over.
class FillHole : public LayerOf<FillHole> {
 public:
  explicit FillHole(float value) : value_(value) {}
  std::string describe() const override;
  Spec plan(const PlanContext&, std::span<const Shape>) const override;
  void prepare(Stream&, const Io&) const override;
  void forward(Stream&, const Io&) const override;
  void backward(Stream&, const Io&) const override;

 private:
  float value_;
};

/// A channel {N,H,W,1} of one constant, as large as x.
class ConstantChannel : public LayerOf<ConstantChannel> {
 public:
  explicit ConstantChannel(float value) : value_(value) {}
  std::string describe() const override;
  Spec plan(const PlanContext&, std::span<const Shape>) const override;
  void prepare(Stream&, const Io&) const override;
  void forward(Stream&, const Io&) const override;
  void backward(Stream&, const Io&) const override;

 private:
  float value_;
};

/// The window's maximum; after fusion also relu of it.
class MaxPool : public LayerOf<MaxPool> {
 public:
  struct Settings {
    int size, stride, pad = 0;
    Act act = Act::none;
  };
  MaxPool(int size, int stride, int pad = 0) : s_{size, stride, pad} {}
  explicit MaxPool(const Settings& s) : s_(s) {}
  std::string describe() const override;
  Spec plan(const PlanContext&, std::span<const Shape>) const override;
  void forward(Stream&, const Io&) const override;
  void backward(Stream&, const Io&) const override;
  const Settings& settings() const { return s_; }

 private:
  Settings s_;
};

/// Convolution, then the window's maximum, then relu or nothing, while training. What lies between them is not kept,
/// and the bias's gradient is summed over the smaller y. Made by fusion only.
class ConvPool : public LayerOf<ConvPool> {
 public:
  ConvPool(const Conv& conv, const MaxPool& pool);
  std::string describe() const override;
  Spec plan(const PlanContext&, std::span<const Shape>) const override;
  void prepare(Stream&, const Io&) const override;
  void forward(Stream&, const Io&) const override;
  void backward(Stream&, const Io&) const override;
  const Conv& conv() const { return conv_; }

 private:
  Tensor between(const Io&) const;
  Conv conv_;
  MaxPool pool_;
};

class AvgPool : public LayerOf<AvgPool> {
 public:
  AvgPool(int size, int stride, int pad = 0) : size_(size), stride_(stride), pad_(pad) {}
  std::string describe() const override;
  Spec plan(const PlanContext&, std::span<const Shape>) const override;
  void forward(Stream&, const Io&) const override;
  void backward(Stream&, const Io&) const override;

 private:
  int size_, stride_, pad_;
};

/// Average over adaptive windows to h × w.
class AdaptiveAvgPool : public LayerOf<AdaptiveAvgPool> {
 public:
  AdaptiveAvgPool(int h, int w) : h_(h), w_(w) {}
  std::string describe() const override;
  Spec plan(const PlanContext&, std::span<const Shape>) const override;
  void forward(Stream&, const Io&) const override;
  void backward(Stream&, const Io&) const override;

 private:
  int h_, w_;
};

/// Fully connected over h·w·c features. Parameters: weight {O,h,w,c}, bias {1,1,1,O}.
class Linear : public LayerOf<Linear> {
 public:
  struct Settings {
    int outputs;
    Act act = Act::none;
    InitRule init = InitRule::uniform_fan_in;
  };
  explicit Linear(const Settings& s) : s_(s) {}
  std::string describe() const override;
  Spec plan(const PlanContext&, std::span<const Shape>) const override;
  void forward(Stream&, const Io&) const override;
  void backward(Stream&, const Io&) const override;
  std::unique_ptr<Layer> absorb(const Layer&, int, bool) const override;

 private:
  Settings s_;
};

/// Dropout with probability p; the identity outside training.
class Dropout : public LayerOf<Dropout> {
 public:
  explicit Dropout(float p) : p_(p) {}
  std::string describe() const override;
  Spec plan(const PlanContext&, std::span<const Shape>) const override;
  void forward(Stream&, const Io&) const override;
  void backward(Stream&, const Io&) const override;

 private:
  float p_;
};

/// Nearest-neighbour enlargement by a whole factor.
class Upsample : public LayerOf<Upsample> {
 public:
  explicit Upsample(int factor) : factor_(factor) {}
  std::string describe() const override;
  Spec plan(const PlanContext&, std::span<const Shape>) const override;
  void forward(Stream&, const Io&) const override;
  void backward(Stream&, const Io&) const override;
  std::unique_ptr<Layer> absorb(const Layer&, int, bool) const override;

 private:
  int factor_;
};

/// Nearest-neighbour shrinking by a whole factor (masks): every factor-th pixel, or with the corners aligned.
class Downsample : public LayerOf<Downsample> {
 public:
  explicit Downsample(int factor, bool aligned = false) : factor_(factor), aligned_(aligned) {}
  std::string describe() const override;
  Spec plan(const PlanContext&, std::span<const Shape>) const override;
  void forward(Stream&, const Io&) const override;
  void backward(Stream&, const Io&) const override;

 private:
  int factor_;
  bool aligned_;
};

/// Cuts a window of side·side places out of each sample of x[0], whose places are `stride` pixels apart; x[1] holds the
/// windows' corners (kernels/window.h). Inference only.
class CropWindow : public LayerOf<CropWindow> {
 public:
  explicit CropWindow(int side, int stride) : side_(side), stride_(stride) {}
  std::string describe() const override;
  Spec plan(const PlanContext&, std::span<const Shape>) const override;
  void forward(Stream&, const Io&) const override;

 private:
  int side_, stride_;
};

/// Blend where x[1] is only known in windows: x[0]·(1 − x[2]) + x[1]·x[2] inside them, x[0] outside; x[3] holds their
/// corners. Inference only.
class BlendWindow : public LayerOf<BlendWindow> {
 public:
  std::string describe() const override { return "BlendWindow"; }
  Spec plan(const PlanContext&, std::span<const Shape>) const override;
  void forward(Stream&, const Io&) const override;
};

/// Contextual attention of features x[0] under mask x[1] of the same height and width.
class ContextualAttention : public LayerOf<ContextualAttention> {
 public:
  explicit ContextualAttention(const AttentionForm& form = {}) : form_(form) {}
  std::string describe() const override { return "ContextualAttention"; }
  Spec plan(const PlanContext&, std::span<const Shape>) const override;
  void forward(Stream&, const Io&) const override;
  void backward(Stream&, const Io&) const override;

 private:
  AttentionForm form_;
};

/// Bytes x[0] {N,H,W,3} u8 (and flips x[1] {1,1,1,N} u8, optional) → normalised {N,h,w,3}. With `images`, x[0] is
/// {1,1,1,N} i32 and says which of them each sample is.
class Preprocess : public LayerOf<Preprocess> {
 public:
  struct Settings {
    int h, w;
    float mean[3] = {0.485f, 0.456f, 0.406f}, std[3] = {0.229f, 0.224f, 0.225f};
    Tensor images = {};  ///< {M,H,W,3} u8 where the program runs; not the graph's: it must outlive the program
  };
  explicit Preprocess(const Settings& s) : s_(s) {}
  std::string describe() const override;
  Spec plan(const PlanContext&, std::span<const Shape>) const override;
  void forward(Stream&, const Io&) const override;
  /// All but y.
  PreprocessArgs args(const Io&) const;
  const Settings& settings() const { return s_; }

 private:
  Settings s_;
};

}  // namespace telltale
