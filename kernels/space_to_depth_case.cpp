// The 4×4 filter over blocks against its definition: with it, a convolution gives what the 7×7 filter gives.
#include "kernels/case/op_case.h"
#include "kernels/conv/conv.h"
#include "kernels/space_to_depth_definition.h"

namespace telltale {
namespace {

void filter(CaseRun& r, int filters) {
  const Tensor w = r.input({filters, 7, 7, 3}), y = r.output(blocks_filter_shape(filters));
  r.op(double(w.bytes() + y.bytes()), 0, [&] { blocks_filter(r.stream, w, y); });
  if (!r.is_test() || filters == 0) return;
  // The naive convolution of both, in one type: the sums' order differs.
  const Shape images{2, 6, 10, 3};
  const Tensor x = r.input(images), wide = r.output({2, 3, 5, filters}), narrow = r.output({2, 3, 5, filters});
  const Tensor blocks = r.from(blocks_shape(images), r.dtype, blocks_of(r.values(x), images));
  ref::conv_forward(r.stream, {.x = x, .w = w, .y = wide, .geometry = {2, 3, 1}});
  ref::conv_forward(r.stream, {.x = blocks, .w = y, .y = narrow, .geometry = {}});
  r.expect("convolution", narrow, r.values(wide), 8, 4);
  double numbers = 0;
  for (double v : r.values(y)) numbers += v != 0;
  r.require("zeros where there is no tap", numbers <= double(w.shape.numel()));
}

/// Gathering is the transpose of spreading: ⟨spread(w), dy⟩ = ⟨w, gather(dy)⟩, number by number.
void gradient(CaseRun& r, int filters, GradMode mode) {
  const Shape wide{filters, 7, 7, 3}, narrow = blocks_filter_shape(filters);
  const Tensor dy = r.input(narrow), dw = r.input(wide);
  const std::vector<double> before = r.values(dw), gradients = r.values(dy);
  r.op(double(dw.bytes() + dy.bytes()), 0, [&] { blocks_filter_gradient(r.stream, dy, dw, mode); });
  if (!r.is_test()) return;
  std::vector<double> expected;
  for (int k = 0; k < filters; ++k)
    for (int row = 1; row < 8; ++row)
      for (int column = 1; column < 8; ++column)
        for (int c = 0; c < 3; ++c) {
          const int block = (k * 4 + row / 2) * 4 + column / 2, channel = (row % 2 * 2 + column % 2) * 3 + c;
          expected.push_back(gradients[size_t(block) * kBlockChannels + size_t(channel)]);
        }
  for (size_t i = 0; i < expected.size(); ++i) {
    if (mode == GradMode::ignore) expected[i] = before[i];
    if (mode == GradMode::accumulate) expected[i] += before[i];
  }
  r.expect("dw", dw, expected, mode == GradMode::accumulate ? 1 : 0);
}

const RegisterCases cases([](std::vector<OpCase>& to) {
  for (int filters : {0, 1, 5, 64}) {
    to.push_back({"blocks_filter", cat(filters), kAllFloats, [=](CaseRun& r) { filter(r, filters); }});
    for (GradMode mode : {GradMode::ignore, GradMode::overwrite, GradMode::accumulate}) {
      const char* name = mode == GradMode::ignore ? " ignore" : mode == GradMode::overwrite ? "" : " accumulate";
      to.push_back({"blocks_filter_gradient", cat(filters, name), {DType::f32, DType::f64}, [=](CaseRun& r) {
                      gradient(r, filters, mode);
                    }});
    }
  }
});

}  // namespace
}  // namespace telltale
