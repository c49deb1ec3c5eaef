#pragma once
// Convolutions whose filters are written down, not learnt.
#include <vector>

#include "engine/layer.h"
#include "kernels/conv/conv.h"

namespace telltale {

/// A convolution under filters that never train (residuals of high-pass filters, a transform's basis), without bias.
/// It has no parameters: a state_dict does not hold its filters.
class FixedConv : public LayerOf<FixedConv> {
 public:
  struct Settings {
    int channels, size;
    ConvGeometry geometry;
    std::vector<float> filters;  ///< {channels,size,size,C}, C being x's channels
    Act act = Act::none;
  };
  explicit FixedConv(const Settings& s) : s_(s) {}
  std::string describe() const override;
  Spec plan(const PlanContext&, std::span<const Shape>) const override;
  void prepare(Stream&, const Io&) const override;
  void forward(Stream&, const Io&) const override;
  void backward(Stream&, const Io&) const override;
  void to_onnx(OnnxGraph&, const OnnxNode&) const override;

 private:
  Tensor filters(const Io&) const;
  Settings s_;
};

}  // namespace telltale
