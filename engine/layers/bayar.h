#pragma once
// A convolution whose filters are learnt, and always high-pass.
#include "engine/layer.h"
#include "kernels/conv/conv.h"

namespace telltale {

/// conv(x, w) without bias, w being the filters nearest to the parameter under Bayar and Stamm's constraint
/// (kernels/bayar_filters.h), times `scale`: in every colour a pixel less its prediction from those around it.
/// Parameter: weight {K,R,R,C}, free; only its part off the centres trains.
class BayarConv : public LayerOf<BayarConv> {
 public:
  struct Settings {
    int channels, size;  ///< an odd size above 1
    ConvGeometry geometry;
    float scale = 1;
  };
  explicit BayarConv(const Settings& s) : s_(s) {}
  std::string describe() const override;
  Spec plan(const PlanContext&, std::span<const Shape>) const override;
  void prepare(Stream&, const Io&) const override;
  void forward(Stream&, const Io&) const override;
  void backward(Stream&, const Io&) const override;
  void to_onnx(OnnxGraph&, const OnnxNode&) const override;

 private:
  /// The filters as they are applied.
  Tensor filters(const Io&) const;
  Settings s_;
};

}  // namespace telltale
