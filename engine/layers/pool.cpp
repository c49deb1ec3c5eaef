// Pooling, and a convolution together with the pooling behind it.
#include "engine/layers/pool.h"

#include "engine/layers/parts.h"
#include "engine/onnx.h"
#include "kernels/pool.h"
#include "kernels/reduce.h"
#include "kernels/relu_bias.h"

namespace telltale {
namespace {

Shape checked_pool(const std::string& name, const Shape& x, int size, int stride, int pad) {
  try {
    return pool_output(x, size, stride, pad);
  } catch (const ShapeError& e) {
    throw ShapeError(name + ": " + e.what());
  }
}

PoolArgs args_of(const MaxPool::Settings& s) {
  PoolArgs a;
  a.size = s.size;
  a.stride = s.stride;
  a.pad = s.pad;
  a.act = s.act;
  return a;
}

}  // namespace

std::string MaxPool::describe() const {
  return cat("MaxPool ", s_.size, "x", s_.size, " /", s_.stride, act_name(s_.act));
}
Spec MaxPool::plan(const PlanContext& c, std::span<const Shape> x) const {
  check_inputs(name, x, 1);
  Spec spec;
  spec.y = checked_pool(name, x[0], s_.size, s_.stride, s_.pad);
  if (c.backward) spec.saved = {{spec.y, DType::u8}};
  return spec;
}
void MaxPool::forward(Stream& s, const Io& io) const {
  PoolArgs a = args_of(s_);
  a.x = io.x[0];
  a.y = io.y;
  if (!io.saved.empty()) a.argmax = io.saved[0];
  max_pool_forward(s, a);
}
void MaxPool::backward(Stream& s, const Io& io) const {
  PoolArgs a = args_of(s_);
  a.dx_mode = io.dx_mode[0];
  if (a.dx_mode == GradMode::ignore) return;
  a.dy = io.dy;
  a.dx = io.dx[0];
  a.argmax = io.saved[0];
  max_pool_backward(s, a);
}

std::string AvgPool::describe() const { return cat("AvgPool ", size_, "x", size_, " /", stride_); }
Spec AvgPool::plan(const PlanContext&, std::span<const Shape> x) const {
  check_inputs(name, x, 1);
  Spec spec;
  spec.y = checked_pool(name, x[0], size_, stride_, pad_);
  return spec;
}
void AvgPool::forward(Stream& s, const Io& io) const {
  PoolArgs a;
  a.x = io.x[0];
  a.y = io.y;
  a.size = size_;
  a.stride = stride_;
  a.pad = pad_;
  avg_pool_forward(s, a);
}
void AvgPool::backward(Stream& s, const Io& io) const {
  if (io.dx_mode[0] == GradMode::ignore) return;
  PoolArgs a;
  a.dy = io.dy;
  a.dx = io.dx[0];
  a.dx_mode = io.dx_mode[0];
  a.size = size_;
  a.stride = stride_;
  a.pad = pad_;
  avg_pool_backward(s, a);
}

std::string AdaptiveAvgPool::describe() const { return cat("AdaptiveAvgPool ", h_, "x", w_); }
Spec AdaptiveAvgPool::plan(const PlanContext&, std::span<const Shape> x) const {
  check_inputs(name, x, 1);
  Spec spec;
  spec.y = {x[0].n, h_, w_, x[0].c};
  return spec;
}
void AdaptiveAvgPool::forward(Stream& s, const Io& io) const {
  PoolArgs a;
  a.x = io.x[0];
  a.y = io.y;
  adaptive_avg_pool_forward(s, a);
}
void AdaptiveAvgPool::backward(Stream& s, const Io& io) const {
  if (io.dx_mode[0] == GradMode::ignore) return;
  PoolArgs a;
  a.dy = io.dy;
  a.dx = io.dx[0];
  a.dx_mode = io.dx_mode[0];
  adaptive_avg_pool_backward(s, a);
}

ConvPool::ConvPool(const Conv& conv, const MaxPool& pool) : conv_(conv), pool_(pool) { name = conv.name; }

std::string ConvPool::describe() const { return cat(conv_.describe(), " + ", pool_.describe()); }

Spec ConvPool::plan(const PlanContext& c, std::span<const Shape> x) const {
  Spec spec = conv_.plan(c, x);
  const Shape between = spec.y;
  const Spec pooled = pool_.plan(c, {&between, 1});
  spec.y = pooled.y;
  spec.saved = pooled.saved;
  spec.keep_y = c.backward && !c.frozen && conv_.settings().bias && pool_.settings().act != Act::none;
  spec.scratch = spec.backward_scratch = size_t(between.numel()) * size_of(c.compute);
  return spec;
}

/// The convolution's output, or its gradients: scratch of either pass.
Tensor ConvPool::between(const Io& io) const {
  const Conv::Settings& s = conv_.settings();
  const Shape w{s.channels, s.size, s.size, io.x[0].shape.c};
  return {io.scratch.data, conv_output(io.x[0].shape, w, s.geometry), io.y.dtype};
}

void ConvPool::prepare(Stream& s, const Io& io) const {
  Io inner = io;
  inner.y = between(io);
  conv_.prepare(s, inner);
}

void ConvPool::forward(Stream& s, const Io& io) const {
  Io inner = io;
  inner.y = between(io);
  conv_.forward(s, inner);
  const Tensor x[] = {inner.y};
  inner.x = x;
  inner.y = io.y;
  pool_.forward(s, inner);
}

void ConvPool::backward(Stream& s, const Io& io) const {
  // Each gradient of y goes to one place before the pool, or none: their sums are the same.
  if (conv_.settings().bias && io.dw_mode[1] != GradMode::ignore) {
    if (pool_.settings().act == Act::none) {
      column_sums(s, io.dy, io.dw[1], io.dw_mode[1]);
    } else {
      relu_bias_backward(s, {.y = io.y, .dy = io.dy, .dbias = io.dw[1], .mode = io.dw_mode[1]});
    }
  }
  const Tensor gradients[] = {between(io)};
  const GradMode assigned[] = {GradMode::overwrite};
  Io inner = io;
  inner.dx = gradients;
  inner.dx_mode = assigned;
  pool_.backward(s, inner);
  inner = io;
  inner.dy = gradients[0];
  conv_.backward_products(s, inner, false);
}

void MaxPool::to_onnx(OnnxGraph& g, const OnnxNode& n) const {
  const int64_t size = s_.size, stride = s_.stride, pad = s_.pad;
  const bool acts = s_.act != Act::none;
  const std::string y = g.add("MaxPool", {n.x[0]},
                              {{"kernel_shape", std::vector{size, size}},
                               {"strides", std::vector{stride, stride}},
                               {"pads", std::vector{pad, pad, pad, pad}}},
                              acts ? "" : n.y);
  if (acts) g.activation(y, s_.act, n.y);
}

void AvgPool::to_onnx(OnnxGraph& g, const OnnxNode& n) const {
  const int64_t size = size_, stride = stride_, pad = pad_;
  g.add("AveragePool", {n.x[0]},
        {{"kernel_shape", std::vector{size, size}},
         {"strides", std::vector{stride, stride}},
         {"pads", std::vector{pad, pad, pad, pad}}},
        n.y);
}

namespace {
/// {out, in} whose rows average the windows of adaptive pooling along one axis.
std::vector<float> adaptive_averages(int in, int out) {
  std::vector<float> matrix(size_t(in) * size_t(out), 0.0f);
  for (int i = 0; i < out; ++i) {
    const int begin = i * in / out, end = int(ceil_div(int64_t(i + 1) * in, out));
    for (int j = begin; j < end; ++j) matrix[size_t(i) * size_t(in) + size_t(j)] = 1.0f / float(end - begin);
  }
  return matrix;
}
}  // namespace

void AdaptiveAvgPool::to_onnx(OnnxGraph& g, const OnnxNode& n) const {
  if (h_ == 1 && w_ == 1) {
    g.add("GlobalAveragePool", {n.x[0]}, {}, n.y);
    return;
  }
  g.needs_fixed_size();  // ONNX has no windows that grow with their image: averages as products
  const Shape& x = n.x_shape[0];
  const std::string rows = g.add("MatMul", {g.constant({h_, x.h}, adaptive_averages(x.h, h_)), n.x[0]});
  const std::string columns = g.constant({w_, x.w}, adaptive_averages(x.w, w_));
  g.add("MatMul", {rows, g.add("Transpose", {columns}, {{"perm", std::vector<int64_t>{1, 0}}})}, {}, n.y);
}

}  // namespace telltale
