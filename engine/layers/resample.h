#pragma once
// Enlarging and shrinking by a whole factor, and enlarging before a gated convolution.
#include "engine/layers/gated_conv.h"

namespace telltale {

/// Nearest-neighbour enlargement by a whole factor.
class Upsample : public LayerOf<Upsample> {
 public:
  explicit Upsample(int factor) : factor_(factor) {}
  std::string describe() const override;
  Spec plan(const PlanContext&, std::span<const Shape>) const override;
  void forward(Stream&, const Io&) const override;
  void backward(Stream&, const Io&) const override;
  std::unique_ptr<Layer> absorb(const Layer&, int, bool) const override;
  void to_onnx(OnnxGraph&, const OnnxNode&) const override;

 private:
  int factor_;
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

/// Nearest-neighbour shrinking by a whole factor (masks): every factor-th pixel, or with the corners aligned.
class Downsample : public LayerOf<Downsample> {
 public:
  explicit Downsample(int factor, bool aligned = false) : factor_(factor), aligned_(aligned) {}
  std::string describe() const override;
  Spec plan(const PlanContext&, std::span<const Shape>) const override;
  void forward(Stream&, const Io&) const override;
  void backward(Stream&, const Io&) const override;
  void to_onnx(OnnxGraph&, const OnnxNode&) const override;

 private:
  int factor_;
  bool aligned_;
};

}  // namespace telltale
