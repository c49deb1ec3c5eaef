#pragma once
// The layers of a discriminator.
#include "engine/layers/all.h"

namespace telltale {

/// Convolution under spectral norm (kernels/norm/spectral_norm.h): conv(x, weight_orig/σ) + bias, one power iteration
/// per training forward. Frozen, or outside training, weight_u and weight_v are constants, and must be unit vectors:
/// those of a layer that has trained. Parameters: weight_orig {K,R,S,C}, bias {1,1,1,K}, and the statistics weight_u
/// {1,1,1,K}, weight_v {1,R,S,C}; torch.nn.utils.spectral_norm's names.
class SpectralConv : public LayerOf<SpectralConv> {
 public:
  struct Settings {
    int channels, size;
    ConvGeometry geometry;
  };
  explicit SpectralConv(const Settings& s) : s_(s) {}
  std::string describe() const override;
  Spec plan(const PlanContext&, std::span<const Shape>) const override;
  void prepare(Stream&, const Io&) const override;
  void forward(Stream&, const Io&) const override;
  void backward(Stream&, const Io&) const override;

 private:
  ConvArgs args(Tensor x, Tensor w, Tensor bias, Tensor y) const;
  Settings s_;
};

/// y = x where x > 0, else negative_slope·x.
class LeakyRelu : public LayerOf<LeakyRelu> {
 public:
  explicit LeakyRelu(float negative_slope) : slope_(negative_slope) {}
  std::string describe() const override { return cat("LeakyReLU ", slope_); }
  Spec plan(const PlanContext&, std::span<const Shape>) const override;
  void forward(Stream&, const Io&) const override;
  void backward(Stream&, const Io&) const override;

 private:
  float slope_;
};

}  // namespace telltale
