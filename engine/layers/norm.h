#pragma once
// Batch norm, trained or constant, and a convolution that a constant one is folded into.
#include "engine/layers/conv.h"

namespace telltale {

/// Batch norm; after fusion also + x[1] and relu. Parameters: weight, bias, running_mean, running_var,
/// num_batches_tracked.
class BatchNorm : public LayerOf<BatchNorm> {
 public:
  struct Settings {
    float eps = 1e-5f, momentum = 0.1f;
    bool residual = false;
    Act act = Act::none;
  };
  BatchNorm() = default;
  explicit BatchNorm(const Settings& s) : s_(s) {}
  std::string describe() const override;
  Spec plan(const PlanContext&, std::span<const Shape>) const override;
  void forward(Stream&, const Io&) const override;
  void backward(Stream&, const Io&) const override;
  std::unique_ptr<Layer> absorb(const Layer&, int, bool) const override;
  void to_onnx(OnnxGraph&, const OnnxNode&) const override;
  const Settings& settings() const { return s_; }
  /// weight, bias, running_mean, running_var, num_batches_tracked of a batch norm called `name`.
  static std::vector<ParamSpec> parameters(const std::string& name, int channels);

 private:
  Settings s_;
};

/// Convolution with a constant batch norm folded into its filter and bias, + x[1] and activation. Made by fusion only;
/// never trains.
class ConvBatchNorm : public LayerOf<ConvBatchNorm> {
 public:
  ConvBatchNorm(const Conv& conv, const BatchNorm& norm);
  std::string describe() const override;
  Spec plan(const PlanContext&, std::span<const Shape>) const override;
  void prepare(Stream&, const Io&) const override;
  void forward(Stream&, const Io&) const override;
  std::unique_ptr<Layer> absorb(const Layer&, int, bool) const override;
  /// The folded filter, into w of any floating-point type, and its bias; prepare's part.
  void fold(Stream&, const Io&, Tensor w, Tensor bias) const;
  const Conv::Settings& conv() const { return conv_; }
  const BatchNorm::Settings& norm() const { return norm_; }

 private:
  ConvArgs args(const Shape& x, const Shape& y, DType compute) const;
  Conv::Settings conv_;
  BatchNorm::Settings norm_;
  std::string conv_name_, norm_name_;
};

}  // namespace telltale
