#pragma once
// Layers that work on a window of each image.
#include "engine/layers/pointwise.h"

namespace telltale {

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

}  // namespace telltale
