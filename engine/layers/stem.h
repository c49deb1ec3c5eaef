#pragma once
// A network's first convolution together with the preprocessing before it.
#include <variant>

#include "engine/layers/all.h"

namespace telltale {

/// Preprocess, then a 7×7 convolution of stride 2 and pad 3 (with a constant batch norm and activation or without):
/// preprocessing writes blocks of 2×2 pixels, and the convolution is one of 4×4 over them (kernels/space_to_depth.h),
/// exactly. For devices whose convolutions want more than three channels. Made by fusion only; parameters are the
/// convolution's.
class Stem : public LayerOf<Stem> {
 public:
  /// Both as one layer; null where they are no such pair, or the image's height or width is odd.
  static std::unique_ptr<Layer> joined(const Layer& preprocess, const Layer& conv);
  std::string describe() const override;
  Spec plan(const PlanContext&, std::span<const Shape>) const override;
  void prepare(Stream&, const Io&) const override;
  void forward(Stream&, const Io&) const override;
  void backward(Stream&, const Io&) const override;
  /// The 4×4 convolution of n images: shapes and types only.
  ConvArgs conv(int n, DType compute) const;

 private:
  using Wide = std::variant<Conv, ConvBatchNorm>;
  Stem(const Preprocess& preprocess, const Wide& conv) : preprocess_(preprocess), conv_(conv) {}
  const Layer& layer() const;
  const Conv::Settings& settings() const;
  Preprocess preprocess_;
  Wide conv_;
};

}  // namespace telltale
