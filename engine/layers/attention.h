#pragma once
// Contextual attention.
#include "engine/layer.h"
#include "kernels/attention/attention.h"

namespace telltale {

/// Contextual attention of features x[0] under mask x[1] of the same height and width.
class ContextualAttention : public LayerOf<ContextualAttention> {
 public:
  explicit ContextualAttention(const AttentionForm& form = {}) : form_(form) {}
  std::string describe() const override { return "ContextualAttention"; }
  Spec plan(const PlanContext&, std::span<const Shape>) const override;
  void forward(Stream&, const Io&) const override;
  void backward(Stream&, const Io&) const override;
  void to_onnx(OnnxGraph&, const OnnxNode&) const override;

 private:
  AttentionForm form_;
};

}  // namespace telltale
