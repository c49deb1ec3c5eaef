#pragma once
// What turns images and masks into what a net reads.
#include "engine/layer.h"

namespace telltale {

/// x where the mask x[1] is 0, a constant where it is 1: an image with its hole painted over.
class FillHole : public LayerOf<FillHole> {
 public:
  explicit FillHole(float value) : value_(value) {}
  std::string describe() const override;
  Spec plan(const PlanContext&, std::span<const Shape>) const override;
  void prepare(Stream&, const Io&) const override;
  void forward(Stream&, const Io&) const override;
  void backward(Stream&, const Io&) const override;
  void to_onnx(OnnxGraph&, const OnnxNode&) const override;

 private:
  float value_;
};

/// A channel {N,H,W,1} of one constant, as large as x.
class ConstantChannel : public LayerOf<ConstantChannel> {
 public:
  explicit ConstantChannel(float value) : value_(value) {}
  std::string describe() const override;
  Spec plan(const PlanContext&, std::span<const Shape>) const override;
  void prepare(Stream&, const Io&) const override;
  void forward(Stream&, const Io&) const override;
  void backward(Stream&, const Io&) const override;
  void to_onnx(OnnxGraph&, const OnnxNode&) const override;

 private:
  float value_;
};

struct PreprocessArgs;

/// Bytes x[0] {N,H,W,3} u8 (and flips x[1] {1,1,1,N} u8, optional) → normalised {N,h,w,3}. With `images`, x[0] is
/// {1,1,1,N} i32 and says which of them each sample is.
class Preprocess : public LayerOf<Preprocess> {
 public:
  struct Settings {
    int h, w;
    float mean[3] = {0.485f, 0.456f, 0.406f}, std[3] = {0.229f, 0.224f, 0.225f};
    Tensor images = {};  ///< {M,H,W,3} u8 where the program runs; not the graph's: it must outlive the program
  };
  explicit Preprocess(const Settings& s) : s_(s) {}
  std::string describe() const override;
  Spec plan(const PlanContext&, std::span<const Shape>) const override;
  void forward(Stream&, const Io&) const override;
  void to_onnx(OnnxGraph&, const OnnxNode&) const override;
  /// All but y.
  PreprocessArgs args(const Io&) const;
  const Settings& settings() const { return s_; }

 private:
  Settings s_;
};

}  // namespace telltale
