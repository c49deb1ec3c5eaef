#pragma once
// Pooling, and a convolution together with the pooling behind it.
#include "engine/layers/conv.h"

namespace telltale {

/// The window's maximum; after fusion also relu of it.
class MaxPool : public LayerOf<MaxPool> {
 public:
  struct Settings {
    int size, stride, pad = 0;
    Act act = Act::none;
  };
  MaxPool(int size, int stride, int pad = 0) : s_{size, stride, pad} {}
  explicit MaxPool(const Settings& s) : s_(s) {}
  std::string describe() const override;
  Spec plan(const PlanContext&, std::span<const Shape>) const override;
  void forward(Stream&, const Io&) const override;
  void backward(Stream&, const Io&) const override;
  void to_onnx(OnnxGraph&, const OnnxNode&) const override;
  const Settings& settings() const { return s_; }

 private:
  Settings s_;
};

/// Convolution, then the window's maximum, then relu or nothing, while training. What lies between them is not kept,
/// and the bias's gradient is summed over the smaller y. Made by fusion only.
class ConvPool : public LayerOf<ConvPool> {
 public:
  ConvPool(const Conv& conv, const MaxPool& pool);
  std::string describe() const override;
  Spec plan(const PlanContext&, std::span<const Shape>) const override;
  void prepare(Stream&, const Io&) const override;
  void forward(Stream&, const Io&) const override;
  void backward(Stream&, const Io&) const override;
  const Conv& conv() const { return conv_; }

 private:
  Tensor between(const Io&) const;
  Conv conv_;
  MaxPool pool_;
};

class AvgPool : public LayerOf<AvgPool> {
 public:
  AvgPool(int size, int stride, int pad = 0) : size_(size), stride_(stride), pad_(pad) {}
  std::string describe() const override;
  Spec plan(const PlanContext&, std::span<const Shape>) const override;
  void forward(Stream&, const Io&) const override;
  void backward(Stream&, const Io&) const override;
  void to_onnx(OnnxGraph&, const OnnxNode&) const override;

 private:
  int size_, stride_, pad_;
};

/// Average over adaptive windows to h × w.
class AdaptiveAvgPool : public LayerOf<AdaptiveAvgPool> {
 public:
  AdaptiveAvgPool(int h, int w) : h_(h), w_(w) {}
  std::string describe() const override;
  Spec plan(const PlanContext&, std::span<const Shape>) const override;
  void forward(Stream&, const Io&) const override;
  void backward(Stream&, const Io&) const override;
  void to_onnx(OnnxGraph&, const OnnxNode&) const override;

 private:
  int h_, w_;
};

}  // namespace telltale
