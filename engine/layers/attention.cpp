#include "engine/layers/attention.h"

#include "engine/layers/parts.h"
#include "engine/onnx.h"
#include "kernels/attention/attention.h"
#include "kernels/device/buffer.h"

namespace telltale {
Spec ContextualAttention::plan(const PlanContext& c, std::span<const Shape> x) const {
  check_inputs(name, x, 2);
  check_mask(name, x[0], x[1]);
  TT_CHECK(x[0].h % 2 == 0 && x[0].w % 2 == 0, ShapeError, name, ": height and width must be even, got ",
           to_string(x[0]));
  Spec spec;
  spec.y = x[0];
  spec.scratch = attention_scratch_bytes(c.stream, x[0], c.compute);
  if (c.backward) {
    spec.keep_x = 3;
    spec.backward_scratch = attention_backward_scratch_bytes(c.stream, x[0], c.compute);
  }
  return spec;
}

void ContextualAttention::forward(Stream& s, const Io& io) const {
  attention_forward(s, {.x = io.x[0], .mask = io.x[1], .y = io.y, .scratch = io.scratch, .form = form_});
}

void ContextualAttention::backward(Stream& s, const Io& io) const {
  attention_backward(s, {.x = io.x[0],
                         .mask = io.x[1],
                         .dy = io.dy,
                         .dx = io.dx[0],
                         .scratch = io.scratch,
                         .form = form_,
                         .dx_mode = io.dx_mode[0]});
  no_gradient(s, io, 1);
}

namespace {

std::string transposed(OnnxGraph& g, const std::string& x, std::vector<int64_t> order) {
  return g.add("Transpose", {x}, {{"perm", std::move(order)}});
}

/// x {N,C,H,W} between `before` and `after` zeros on every side.
std::string bordered(OnnxGraph& g, const std::string& x, int64_t before, int64_t after) {
  return g.add("Pad", {x, g.integers({0, 0, before, before, 0, 0, after, after}), g.constant(0)});
}

/// Each place's size × size numbers of every channel, the places `stride` apart: {N, C·size·size, places}.
std::string patches(OnnxGraph& g, const std::string& x, const Shape& places, int64_t size, int64_t stride) {
  const std::string around = bordered(g, x, 1, 1);
  std::vector<std::string> taps;
  for (int64_t i = 0; i < size; ++i)
    for (int64_t j = 0; j < size; ++j) {
      const std::string rows = g.slice(around, 2, i, i + (places.h - 1) * stride + 1, stride);
      const std::string tap = g.slice(rows, 3, j, j + (places.w - 1) * stride + 1, stride);
      taps.push_back(g.add("Unsqueeze", {tap, g.integers({2})}));
    }
  return g.reshape(g.add("Concat", taps, {{"axis", int64_t(2)}}),
                   {0, size * size * places.c, int64_t(places.h) * places.w});
}

/// scores {N,l,q}, each with its neighbours along both diagonals' direction added.
std::string fused(OnnxGraph& g, const std::string& scores, int64_t places) {
  const std::string diagonal = g.constant({1, 1, 3, 3}, {1, 0, 0, 0, 1, 0, 0, 0, 1});
  const std::string image = g.reshape(scores, {-1, 1, places, places});
  return g.reshape(g.convolution(image, diagonal, "", 3, {1, 1, 1}), {-1, places, places});
}

/// l and q of {N,l,q}, each over h × w places row by row, column by column.
std::string by_columns(OnnxGraph& g, const std::string& scores, int64_t h, int64_t w) {
  return g.reshape(transposed(g, g.reshape(scores, {-1, h, w, h, w}), {0, 2, 1, 4, 3}), {-1, h * w, h * w});
}

}  // namespace

// The definition (kernels/attention/attention.h) step by step, over all samples at once.
void ContextualAttention::to_onnx(OnnxGraph& g, const OnnxNode& n) const {
  g.needs_fixed_size();
  constexpr float kScale = 10;
  constexpr int64_t kPatch = 4;
  const Shape& x = n.x_shape[0];
  const Shape small{1, x.h / 2, x.w / 2, x.c};
  const int64_t places = int64_t(small.h) * small.w;
  const std::string features = patches(g, g.shrunk(n.x[0], x, 2, form_.aligned), small, 3, 1);
  const std::string square = g.add("ReduceSumSquare", {features}, {{"axes", std::vector<int64_t>{1}}});
  const std::string norm = form_.clamped ? g.add("Max", {g.add("Sqrt", {square}), g.constant(1e-4f)})
                                         : g.add("Sqrt", {g.add("Add", {square, g.constant(9e-4f * float(x.c))})});
  const std::string sources = transposed(g, g.add("Div", {features, norm}), {0, 2, 1});
  std::string scores = g.add("MatMul", {sources, features});
  if (form_.fused) {
    scores = fused(g, by_columns(g, fused(g, scores, places), small.h, small.w), places);
    scores = by_columns(g, scores, small.w, small.h);
  }
  const std::string mask = g.shrunk(n.x[1], n.x_shape[1], 2, form_.aligned);
  const std::string touched = g.add(
      "MaxPool", {mask}, {{"kernel_shape", std::vector<int64_t>{3, 3}}, {"pads", std::vector<int64_t>{1, 1, 1, 1}}});
  const std::string whole = g.cast(g.add("Equal", {touched, g.constant(0)}), g.compute());
  const std::string valid = g.reshape(whole, {0, places, 1});
  const std::string chosen =
      g.add("Softmax", {g.add("Mul", {g.add("Mul", {scores, g.constant(kScale)}), valid})}, {{"axis", int64_t(1)}});
  const std::string attention = g.add("Mul", {chosen, valid});
  const std::string pieces = g.add("MatMul", {patches(g, n.x[0], small, kPatch, 2), attention});
  // Pasting adds up what overlaps: a transposed convolution whose filters copy.
  std::vector<float> copies;
  for (int64_t i = 0; i < x.c * kPatch * kPatch; ++i)
    for (int64_t tap = 0; tap < kPatch * kPatch; ++tap) copies.push_back(tap == i % (kPatch * kPatch) ? 0.25f : 0);
  g.add("ConvTranspose",
        {g.reshape(pieces, {0, kPatch * kPatch * x.c, small.h, small.w}),
         g.constant({kPatch * kPatch * x.c, 1, kPatch, kPatch}, copies)},
        {{"kernel_shape", std::vector{kPatch, kPatch}},
         {"strides", std::vector<int64_t>{2, 2}},
         {"pads", std::vector<int64_t>{1, 1, 1, 1}},
         {"group", int64_t(x.c)}},
        n.y);
}

}  // namespace telltale
