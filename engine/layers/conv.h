#pragma once
// Convolution and the fully connected layer.
#include "engine/layer.h"
#include "kernels/conv/conv.h"

namespace telltale {

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
  void to_onnx(OnnxGraph&, const OnnxNode&) const override;
  /// Gradients from a dy that is through the activation already.
  void backward_products(Stream&, const Io&, bool with_bias) const;
  const Settings& settings() const { return s_; }

 private:
  ConvArgs args(const Io&) const;
  Settings s_;
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
  void to_onnx(OnnxGraph&, const OnnxNode&) const override;

 private:
  Settings s_;
};

}  // namespace telltale
