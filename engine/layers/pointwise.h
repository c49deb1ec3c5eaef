#pragma once
// Activations, joins, dropout: a pixel looks at no other.
#include "engine/layer.h"

namespace telltale {

/// y = act(x).
class Activation : public LayerOf<Activation> {
 public:
  explicit Activation(Act act) : act(act) {}
  std::string describe() const override;
  Spec plan(const PlanContext&, std::span<const Shape>) const override;
  void forward(Stream&, const Io&) const override;
  void backward(Stream&, const Io&) const override;
  std::unique_ptr<Layer> absorb(const Layer&, int, bool) const override;
  void to_onnx(OnnxGraph&, const OnnxNode&) const override;
  const Act act;
};

/// y = x[0] + x[1].
class Add : public LayerOf<Add> {
 public:
  std::string describe() const override { return "Add"; }
  Spec plan(const PlanContext&, std::span<const Shape>) const override;
  void forward(Stream&, const Io&) const override;
  void to_onnx(OnnxGraph&, const OnnxNode&) const override;
  void backward(Stream&, const Io&) const override;
};

/// Joins channels.
class Concat : public LayerOf<Concat> {
 public:
  std::string describe() const override { return "Concat"; }
  Spec plan(const PlanContext&, std::span<const Shape>) const override;
  void forward(Stream&, const Io&) const override;
  void to_onnx(OnnxGraph&, const OnnxNode&) const override;
  void backward(Stream&, const Io&) const override;
};

/// y = x[0]·(1 − x[2]) + x[1]·x[2], x[2] a one-channel mask.
class Blend : public LayerOf<Blend> {
 public:
  std::string describe() const override { return "Blend"; }
  Spec plan(const PlanContext&, std::span<const Shape>) const override;
  void forward(Stream&, const Io&) const override;
  void to_onnx(OnnxGraph&, const OnnxNode&) const override;
  void backward(Stream&, const Io&) const override;
};

/// Dropout with probability p; the identity outside training.
class Dropout : public LayerOf<Dropout> {
 public:
  explicit Dropout(float p) : p_(p) {}
  std::string describe() const override;
  Spec plan(const PlanContext&, std::span<const Shape>) const override;
  void forward(Stream&, const Io&) const override;
  void backward(Stream&, const Io&) const override;
  void to_onnx(OnnxGraph&, const OnnxNode&) const override;

 private:
  float p_;
};

}  // namespace telltale
