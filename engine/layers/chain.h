#pragma once
// Convolutions and the batch norms around them as one layer, for training where the device can run the norms inside
// the convolutions.
#include <optional>

#include "engine/layers/all.h"

namespace telltale {

/// conv (norm relu conv)* [norm [+ x[1]] [relu]], in training with the batch's statistics. Made by fusion only. Keeps
/// the convolutions' outputs and each norm's statistics for backward, and no normalised tensor; parameters, names and
/// what a step does to running statistics are those of the layers it is made of.
class ConvChain : public LayerOf<ConvChain> {
 public:
  /// A chain of `a` (a Conv, or a ConvChain) and `next`, this being next's input `position`; null where they don't
  /// chain. Neither may be frozen.
  static std::unique_ptr<Layer> joined(const Layer& a, const Layer& next, int position);
  std::string describe() const override;
  Spec plan(const PlanContext&, std::span<const Shape>) const override;
  void forward(Stream&, const Io&) const override;
  void backward(Stream&, const Io&) const override;

 private:
  /// A convolution and the norm behind it: absent only at the chain's end.
  struct Link {
    std::string conv_name, norm_name;
    Conv::Settings conv;
    std::optional<BatchNorm::Settings> norm;
  };
  struct Places;
  explicit ConvChain(const Conv&);
  /// What each convolution gives.
  std::vector<Shape> outputs(const Shape& x) const;
  /// Room for any norm's sums.
  size_t sums_bytes(DType compute) const;
  std::vector<Link> links_;
};

}  // namespace telltale
