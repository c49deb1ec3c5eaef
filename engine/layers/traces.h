#pragma once
// What betrays a painted place: traces of JPEG, and contrast with the rest of the picture.
#include "engine/layer.h"

namespace telltale {

/// Traces of JPEG in pictures {N,H,W,3} from 0 to 255, as kernels/coefficients.h defines them: {N,H/8,W/8,64} of log
/// magnitudes, of history, or both in that order. Constants of the picture: they pass it no gradient.
class CoefficientTraces : public LayerOf<CoefficientTraces> {
 public:
  struct Settings {
    bool magnitude = true, history = true;  ///< at least one
  };
  explicit CoefficientTraces(const Settings& s) : s_(s) {}
  std::string describe() const override;
  Spec plan(const PlanContext&, std::span<const Shape>) const override;
  void forward(Stream&, const Io&) const override;
  void backward(Stream&, const Io&) const override;
  void to_onnx(OnnxGraph&, const OnnxNode&) const override;

 private:
  Settings s_;
};

/// Traces of a JPEG that the picture was on another grid of blocks, as kernels/earlier_jpeg.h defines them: of pictures
/// {N,H,W,3} from 0 to 255, {N,H/8,W/8,8}. Constants of the picture: they pass it no gradient.
class EarlierJpeg : public LayerOf<EarlierJpeg> {
 public:
  std::string describe() const override { return "EarlierJpeg"; }
  Spec plan(const PlanContext&, std::span<const Shape>) const override;
  void forward(Stream&, const Io&) const override;
  void backward(Stream&, const Io&) const override;
  void to_onnx(OnnxGraph&, const OnnxNode&) const override;
};

/// {N,H,W,2C}: features beside their deviation from their own picture's mean, in units of its spread
/// (kernels/norm/contrast.h).
class Contrast : public LayerOf<Contrast> {
 public:
  std::string describe() const override { return "Contrast"; }
  Spec plan(const PlanContext&, std::span<const Shape>) const override;
  void forward(Stream&, const Io&) const override;
  void to_onnx(OnnxGraph&, const OnnxNode&) const override;
  void backward(Stream&, const Io&) const override;
};

}  // namespace telltale
