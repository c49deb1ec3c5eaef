// Gated convolutions whose epilogue gates, by cuDNN: that it takes them on an H200, and that a GPU gets them right.
#include <gtest/gtest.h>

#if TT_CUDNN
#include <cstdio>
#include <map>

#include "base/shared_library.h"
#include "kernels/case/op_case.h"
#include "kernels/conv/cudnn/gated.h"
#include "kernels/gated_conv.h"
#include "nets/nets.h"
#include "tests/devices.h"
#include "tests/kernels/cudnn_plans.h"

namespace telltale::cudnn {
namespace {

/// Whether engines can be asked for that cuDNN compiles at run time: the driver's library, or its stub, answers.
bool has_driver_library() {
  try {
    const SharedLibrary driver{"libcuda.so.1"};
    return true;
  } catch (const DeviceError&) {
    return false;
  }
}

/// The second convolutions of a generator's gated ones in inference.
std::map<std::string, ConvOp> gated_operations(const Graph& graph, DType compute, bool tf32) {
  std::map<std::string, ConvOp> ops;
  for_each_layer(graph, compute, false, [&](const Layer& layer, const std::vector<Shape>& x, const Spec& spec) {
    const auto* gated = dynamic_cast<const GatedConv*>(&layer);
    if (!gated) return;
    GatedConvArgs a{.x = {nullptr, x[0], compute}, .w = {nullptr, spec.params[0].shape, compute}};
    a.y = {nullptr, spec.y, compute};
    a.geometry = gated->settings().geometry;
    a.act = gated->settings().act;
    const ConvOp op = gated_values_op(a, 16, tf32);
    ops.emplace(op.key(), op);
  });
  return ops;
}

// No engine that gates is ready-made; those that are compiled at run time are counted, since only a GPU can load them.
TEST(CudnnPlans, GatedConvolutionsGateInTheirEpilogueOnAnH200) {
  if (const std::string reason = missing(); !reason.empty()) GTEST_SKIP() << reason;
  Graph graph;
  const Value image = graph.input({32, 256, 256, 3}), mask = graph.input({32, 256, 256, 1});
  graph.output(deepfill_v2(graph, image, mask, 48, {}).refined);
  const Graph fused = graph.fused({});
  const bool asks = has_driver_library();
  for (const auto& [type, tf32] : {std::pair{DType::f16, false}, {DType::bf16, false}, {DType::f32, true}}) {
    const char* precision = tf32 ? "tf32" : telltale::name_of(type);
    int taken = 0;
    const std::map<std::string, ConvOp> ops = gated_operations(fused, type, tf32);
    ASSERT_GT(ops.size(), 9u);
    for (const auto& [key, op] : ops) {
      const ConvGraph gated(op, h200());
      if (!asks) continue;
      const bool takes = gated.configurations(true) > 0;
      taken += takes;
      if (!takes) std::printf("%s, refused: %s\n", precision, key.c_str());
      EXPECT_TRUE(takes || op.x.c * size_of(type) % 16 || op.y.c * size_of(type) % 16) << key;
    }
    if (asks)
      std::printf("deepfill_v2, batch 32, %s: %d of %zu gated convolutions taken\n", precision, taken, ops.size());
  }
  if (!asks) GTEST_SKIP() << "no libcuda.so.1, nor its stub, by which cuDNN names engines to compile: NOT checked";
}

class GatedConvDevice : public OnDevice {};
INSTANTIATE_TEST_SUITE_P(Devices, GatedConvDevice, testing::Values("cuda"), device_label);

// Just big enough for cuDNN to be asked whether it gates faster in the epilogue; the first call chooses.
TEST_P(GatedConvDevice, AGatedConvolutionIsWhatItsTwoOpsMake) {
  Stream s = stream();
  for (DType t : {DType::f16, DType::bf16}) {
    CaseRun run(s, t, CaseRun::Mode::test, 5);
    const Shape x{8, 64, 64, 96}, z{8, 64, 64, 192};
    GatedConvArgs a{.x = run.input(x), .w = run.input({192, 3, 3, 96}, -0.07, 0.07), .geometry = {1, 1, 1, 0}};
    a.bias = run.input({1, 1, 1, 192}, DType::f32, -1, 1);
    a.z = run.output(z);
    a.y = run.output(x);
    const ConvArgs conv{.x = a.x, .w = a.w, .bias = a.bias, .y = a.z, .geometry = a.geometry};
    a.packed = run.output({1, 1, 1, int(conv_packed_bytes(s, conv))}, DType::u8);
    conv_pack(s, conv, a.packed);
    conv_forward(s, conv);
    gate_forward(s, {.z = a.z, .y = a.y, .act = a.act});
    const std::vector<double> expected = run.values(a.y);
    for (const char* call : {"y of the first call", "y of the second"}) {
      a.y = run.output(x);
      gated_conv_forward(s, a);
      run.expect(call, a.y, expected, 6);  // the two ops round value and gate on their way
    }
    EXPECT_NO_THROW(run.check_guards());
    EXPECT_TRUE(run.failures().empty()) << run.failures()[0];
  }
}

}  // namespace
}  // namespace telltale::cudnn

#else
TEST(CudnnPlans, Skipped) { GTEST_SKIP() << "built without cuDNN's headers: its plans are NOT checked"; }
#endif
