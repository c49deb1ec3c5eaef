#pragma once
// Gated convolution.
#include "engine/layers/conv.h"

namespace telltale {

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
  void to_onnx(OnnxGraph&, const OnnxNode&) const override;
  const Settings& settings() const { return s_; }
  /// weight and bias over inputs of `channels`.
  std::vector<ParamSpec> parameters(int channels) const;

 private:
  ConvArgs args(const Io&, Tensor z) const;
  Settings s_;
};

}  // namespace telltale
