// cuDNN's plans without a GPU: every convolution that the nets need, at the shapes they need it, built for the H200
// that bench/h200_deviceprop.json describes. Support is what this proves; speed and ranking only a GPU can say.
#include <gtest/gtest.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <set>

#include "base/atomic_file.h"
#include "base/shared_library.h"
#include "engine/layers/all.h"
#include "engine/layers/stem.h"
#include "engine/program.h"
#include "kernels/conv/cudnn/run.h"
#include "nets/nets.h"
#include "tests/devices.h"

#if TT_CUDNN
#include "tests/kernels/cudnn_plans.h"

namespace telltale::cudnn {
namespace {

using Kind = ConvOp::Kind;

/// Every convolution that a net runs, by key: what a layer is, its text says; its filter is its first parameter.
void collect(const Graph& graph, DType compute, bool tf32, bool training, std::map<std::string, ConvOp>& to) {
  const auto add = [&](const ConvOp& op) { to.emplace(op.key(), op); };
  bool first = true;
  for_each_layer(graph, compute, training, [&](const Layer& layer, const std::vector<Shape>& x, const Spec& spec) {
    if (spec.params.empty() || layer.describe().find("Conv") == std::string::npos) return;
    const Shape w = spec.params[0].shape;
    const auto* pooled = dynamic_cast<const ConvPool*>(&layer);
    const auto* conv = pooled ? &pooled->conv() : dynamic_cast<const Conv*>(&layer);
    const auto* folded = dynamic_cast<const ConvBatchNorm*>(&layer);
    const auto* gated = dynamic_cast<const GatedConv*>(&layer);
    if (const auto* up = dynamic_cast<const UpGatedConv*>(&layer)) {
      ConvArgs a = up->conv(x[0], compute);
      char there = 0;
      a.bias.data = &there;
      return add(forward_op(a, 16, tf32));
    }
    ASSERT_TRUE(conv || folded || gated) << layer.describe();
    ConvArgs a{.x = {nullptr, x[0], compute}, .w = {nullptr, w, compute}, .geometry = {}};
    a.geometry = conv ? conv->settings().geometry : folded ? folded->conv().geometry : gated->settings().geometry;
    a.act = conv ? conv->settings().act : folded ? folded->norm().act : Act::none;
    a.y = {nullptr, conv_output(x[0], w, a.geometry), compute};
    char there = 0;
    if (!conv || conv->settings().bias) a.bias = {&there, {1, 1, 1, w.n}, DType::f32};
    if (folded && folded->norm().residual) a.residual = {&there, a.y.shape, compute};
    add(forward_op(a, 16, tf32));
    if (training) {
      ConvGradArgs g{.x = a.x, .w = a.w, .dy = a.y, .geometry = a.geometry};
      for (GradMode mode : {GradMode::overwrite, GradMode::accumulate}) {
        g.dx_mode = g.dw_mode = mode;
        if (!first) add(input_grad_op(g, 16, tf32));
        add(filter_grad_op(g, 16, tf32));
      }
    }
    first = false;
  });
}

struct Case {
  const char* net;
  int batch;
  bool training;
};
std::string name_of(const Case& c) { return cat(c.net, "_", c.batch, c.training ? "_training" : "_inference"); }
void PrintTo(const Case& c, std::ostream* out) { *out << name_of(c); }

Graph graph_of(const Case& c) {
  Graph graph;
  constexpr int size = 256;
  if (std::string(c.net).starts_with("deepfill_v2")) {
    const Value image = graph.input({c.batch, size, size, 3}), mask = graph.input({c.batch, size, size, 1});
    HoleWindow window;
    if (c.net == std::string("deepfill_v2_window")) window = {graph.input({c.batch, 1, 1, 2}, DType::i32), 160};
    graph.output(deepfill_v2(graph, image, mask, 48, window).refined);
  } else if (std::string(c.net).starts_with("official")) {
    const Value image = graph.input({c.batch, size, size, 3}), mask = graph.input({c.batch, size, size, 1});
    graph.output(generator_net(c.net).build(graph, image, mask, 24).refined);
  } else {
    graph.output(detector_net(c.net).build(graph, graph.input({c.batch, size, size, 3}), {}));
  }
  return graph;
}

std::map<std::string, ConvOp> operations_of(const Case& c, DType compute, bool tf32) {
  std::map<std::string, ConvOp> ops;
  collect(graph_of(c).fused({.training = c.training}), compute, tf32, c.training, ops);
  return ops;
}

/// Bytes that an H200 has beside the net.
size_t free_beside(const Case& c, DType compute) {
  Stream s = Stream::emulated();  // plans as a device does
  const size_t all = size_t(139) << 30;
  const size_t taken = Program::footprint(graph_of(c), s, {.compute = compute, .training = c.training}).total();
  return all - std::min(all, taken);
}

/// Less than what a GPU beside which a net leaves 8 GiB is asked for (workspace_limit).
constexpr size_t kLimit = size_t(1) << 30;

/// The operations of a ResNet's training step with batch norms inside the convolutions: each convolution that a batch
/// norm follows gives sums, and reads what came before that norm where norm and relu alone stand between two of them.
std::vector<ConvOp> chained_operations(const Graph& graph) {
  std::map<int, int> uses;
  for (const Graph::Node& n : graph.nodes()) {
    for (Value v : n.x) ++uses[v.id];
  }
  std::map<int, const BatchNorm*> norms, next_norms;
  for (const Graph::Node& n : graph.nodes()) {
    const auto* norm = dynamic_cast<const BatchNorm*>(n.layer.get());
    if (!norm) continue;
    next_norms[n.x[0].id] = norm;
    if (!norm->settings().residual && norm->settings().act == Act::relu && uses[n.y.id] == 1) norms[n.y.id] = norm;
  }
  std::map<std::string, ConvOp> ops;
  const auto add = [&](ConvOp op) { ops.emplace(op.key(), op); };
  size_t node = 0;
  for_each_layer(graph, DType::f16, true, [&](const Layer& layer, const std::vector<Shape>& x, const Spec& spec) {
    const Graph::Node& n = graph.nodes()[node++];
    const auto* conv = dynamic_cast<const Conv*>(&layer);
    if (!conv || !next_norms.count(n.y.id)) return;
    const Shape w = spec.params[0].shape;
    const ConvGradArgs g{.x = {nullptr, x[0], DType::f16},
                         .w = {nullptr, w, DType::f16},
                         .dy = {nullptr, spec.y, DType::f16},
                         .geometry = conv->settings().geometry};
    ConvArgs a{.x = g.x, .w = g.w, .y = g.dy, .geometry = g.geometry};
    ConvOp forward = forward_op(a, 16, false), data = input_grad_op(g, 16, false),
           filter = filter_grad_op(g, 16, false);
    forward.sums = true;
    forward.norm = data.norm = filter.norm = norms.count(n.x[0].id) > 0;
    add(forward);
    if (!forward.norm) return;
    add(data);
    add(filter);
  });
  std::vector<ConvOp> all;
  for (auto& [key, op] : ops) all.push_back(op);
  return all;
}

class Chains : public testing::TestWithParam<const char*> {};

/// What plans need more than this is not run: conv_norm_cudnn.cpp has the same limit.
constexpr size_t kChainLimit = size_t(1) << 26;

// All but the stem: its three channels are too few for the engine with sums.
TEST_P(Chains, BatchNormsRunInsideConvolutionsOnAnH200InF16) {
  if (const std::string reason = missing(); !reason.empty()) GTEST_SKIP() << reason;
  Graph graph;
  graph.output(detector_net(GetParam()).build(graph, graph.input({512, 256, 256, 3}), {}));
  int taken = 0, refused = 0, norms = 0;
  size_t workspace = 0;
  for (const ConvOp& op : chained_operations(graph.fused({.training = true}))) {
    const ConvGraph built(op, h200());
    const std::vector<Plan> plans = built.candidates(1, kChainLimit, 0);
    EXPECT_EQ(plans.empty(), op.x.c == 3) << op.key();
    norms += op.norm;
    plans.empty() ? ++refused : ++taken;
    if (plans.empty()) {
      std::printf("%s, refused: %s\n", GetParam(), op.key().c_str());
      continue;
    }
    workspace = std::max(workspace, plans[0].workspace);
    EXPECT_TRUE(built.plan(plans[0].engine)) << op.key() << ": can't be made again from its engine and knobs";
    ConvOp other = op;
    other.dtype = DType::bf16;
    EXPECT_TRUE(ConvGraph(other, h200()).candidates(1, kChainLimit, 0).empty())
        << op.key() << ": bf16 is taken too: use it";
  }
  EXPECT_GT(norms, 9);
  std::printf("%s, batch 512, f16: %d operations with batch norm inside taken, %d refused, workspace up to %.1f MB\n",
              GetParam(), taken, refused, double(workspace) / 1e6);
}
INSTANTIATE_TEST_SUITE_P(ResNets, Chains, testing::Values("resnet18", "resnet50"),
                         [](const auto& info) { return std::string(info.param); });

class Nets : public testing::TestWithParam<Case> {};

TEST_P(Nets, EveryConvolutionHasAPlanOnAnH200) {
  if (const std::string reason = missing(); !reason.empty()) GTEST_SKIP() << reason;
  struct Precision {
    const char* name;
    DType compute;
    bool tf32;
  };
  for (const Precision& p : {Precision{"f32", DType::f32, false},
                             {"tf32", DType::f32, true},
                             {"bf16", DType::bf16, false},
                             {"f16", DType::f16, false}}) {
    size_t workspace = 0, known = 0;
    const std::map<std::string, ConvOp> ops = operations_of(GetParam(), p.compute, p.tf32);
    ASSERT_GT(ops.size(), 4u);
    for (const auto& [key, op] : ops) {
      const ConvGraph graph(op, h200());
      const std::vector<Plan> plans = graph.candidates(1, kLimit, 0);
      if (plans.empty()) {
        ADD_FAILURE() << key << ": no plan that is ready-made";
        continue;
      }
      workspace = std::max(workspace, plans[0].workspace);
      const std::optional<Plan> again = graph.plan(plans[0].engine);
      ASSERT_TRUE(again) << key << ": the plan can't be made again from its engine and knobs";
      known += again->engine == plans[0].engine && again->workspace == plans[0].workspace;
    }
    EXPECT_EQ(known, ops.size()) << "a remembered engine makes another plan";
    std::printf("%s, batch %d, %s, %s: %zu convolutions, first plans need up to %.1f MB\n", GetParam().net,
                GetParam().batch, GetParam().training ? "training" : "inference", p.name, ops.size(),
                double(workspace) / 1e6);
  }
}

INSTANTIATE_TEST_SUITE_P(All, Nets,
                         testing::Values(Case{"alexnet", 512, true}, Case{"vgg11", 512, true},
                                         Case{"resnet18", 512, true}, Case{"resnet50", 512, true},
                                         Case{"alexnet", 1, false}, Case{"vgg11", 1, false},
                                         Case{"resnet18", 64, false}, Case{"resnet50", 1, false},
                                         Case{"resnet50", 64, false}, Case{"deepfill_v2", 1, false},
                                         Case{"deepfill_v2", 32, false}, Case{"deepfill_v2_window", 16, false},
                                         Case{"deepfill_v2", 16, true}, Case{"official", 16, true}),
                         [](const auto& info) { return name_of(info.param); });

/// A net as a recipe for a GPU trains it, and how many of its convolutions have nothing but cuDNN's fallback engines in
/// each precision: any at all run, but slowly. In f32, where TF32's engines are left out, that is why recipes name tf32
/// for a GPU; in 16 bits it is a dilation of 16, for which cuDNN has no others.
struct Trained {
  Case net;
  int f32, tf32, bf16, f16;
};
void PrintTo(const Trained& t, std::ostream* out) { *out << t.net.net; }

class Cliffs : public testing::TestWithParam<Trained> {};

TEST_P(Cliffs, NoMoreConvolutionsFallBackThanCudnnHasNoEngineFor) {
  if (const std::string reason = missing(); !reason.empty()) GTEST_SKIP() << reason;
  const Trained& t = GetParam();
  for (const auto& [name, compute, tf32, known] : {std::tuple{"f32", DType::f32, false, t.f32},
                                                   {"tf32", DType::f32, true, t.tf32},
                                                   {"bf16", DType::bf16, false, t.bf16},
                                                   {"f16", DType::f16, false, t.f16}}) {
    const size_t limit = workspace_limit(free_beside(t.net, compute));
    int fallbacks = 0, compiled = 0;
    for (const auto& [key, op] : operations_of(t.net, compute, tf32)) {
      const ConvGraph graph(op, h200());
      const std::vector<Plan> plans = graph.candidates(1, limit, 0);
      compiled += graph.configurations(true) > 0;
      if (plans.empty() || !plans[0].fallback) continue;
      ++fallbacks;
      std::printf("%s, %s: only fallback engines for %s\n", t.net.net, name, key.c_str());
    }
    EXPECT_LE(fallbacks, known) << name << ", with " << (limit >> 20) << " MiB of workspace";
    std::printf("%s, %s: %d convolutions fall back with %zu MiB of workspace; %d have engines to be compiled\n",
                t.net.net, name, fallbacks, limit >> 20, compiled);
  }
}
INSTANTIATE_TEST_SUITE_P(
    All, Cliffs,
    testing::Values(Trained{{"alexnet", 512, true}, 0, 0, 0, 0}, Trained{{"vgg11", 512, true}, 11, 0, 0, 0},
                    Trained{{"resnet18", 512, true}, 1, 0, 0, 0}, Trained{{"resnet50", 512, true}, 10, 0, 0, 0},
                    Trained{{"deepfill_v2", 16, true}, 0, 0, 3, 3}, Trained{{"official", 16, true}, 0, 0, 0, 0}),
    [](const auto& info) { return std::string(info.param.net.net); });

/// A recipe whose own precision falls back names another for a GPU.
TEST(Recipes, NameAPrecisionWithoutThem) {
  const std::string recipes = TT_SOURCE_DIR "/recipes/";
  for (const char* name : {"vgg11", "resnet18", "resnet50", "paper_best"})
    EXPECT_NE(slurp(recipes + name + ".json").find("On a GPU give --precision tf32"), std::string::npos) << name;
  EXPECT_EQ(nlohmann::json::parse(slurp(recipes + "inpaint_paper.json")).at("precision"), "tf32");
}

/// A stem's two operations over blocks, and how much workspace their first plans take beside those of the 7×7 filter.
TEST(CudnnPlans, StemsHavePlansOnAnH200) {
  if (const std::string reason = missing(); !reason.empty()) GTEST_SKIP() << reason;
  const Preprocess preprocess({256, 256});
  const Conv wide({64, 7, {2, 3, 1}, false});
  const std::unique_ptr<Layer> layer = Stem::joined(preprocess, wide);
  ASSERT_TRUE(layer);
  for (const auto& [compute, tf32] :
       {std::pair{DType::f32, false}, {DType::f32, true}, {DType::bf16, false}, {DType::f16, false}}) {
    const ConvArgs narrow = dynamic_cast<const Stem&>(*layer).conv(512, compute);
    const ConvArgs plain{.x = {nullptr, {512, 256, 256, 3}, compute},
                         .w = {nullptr, {64, 7, 7, 3}, compute},
                         .y = narrow.y,
                         .geometry = wide.settings().geometry};
    for (const ConvArgs& a : {narrow, plain}) {
      const ConvGradArgs g{.x = a.x, .w = a.w, .dy = a.y, .geometry = a.geometry};
      for (const ConvOp& op : {forward_op(a, 16, tf32), filter_grad_op(g, 16, tf32)}) {
        const std::vector<Plan> plans = ConvGraph(op, h200()).candidates(1, kLimit, 0);
        ASSERT_FALSE(plans.empty()) << op.key();
        std::printf("%s: first plan needs %.1f MB\n", op.key().c_str(), double(plans[0].workspace) / 1e6);
        if (op.x.c > 3) {
          EXPECT_LT(plans[0].workspace, size_t(16) << 20) << op.key();
        }
      }
    }
  }
}

ConvOp block(DType t) {
  ConvOp op{.x = {64, 64, 64, 64}, .w = {64, 3, 3, 64}, .y = {64, 64, 64, 64}, .geometry = {1, 1, 1, 0}, .dtype = t};
  return op;
}

TEST(CudnnPlans, F32StaysF32UnlessTf32IsAllowed) {
  if (const std::string reason = missing(); !reason.empty()) GTEST_SKIP() << reason;
  ConvOp op = block(DType::f32);
  const int exact = ConvGraph(op, h200()).configurations(false);
  op.tf32 = true;
  EXPECT_GT(exact, 0);
  EXPECT_GT(ConvGraph(op, h200()).configurations(false), exact) << "TF32's tensor cores must come on top";
}

TEST(CudnnPlans, EveryFusionIsOnePlan) {
  if (const std::string reason = missing(); !reason.empty()) GTEST_SKIP() << reason;
  for (DType t : {DType::f32, DType::bf16, DType::f16}) {
    for (int fused = 0; fused < 8; ++fused) {
      char there = 0;
      ConvArgs a{.x = {nullptr, block(t).x, t}, .w = {nullptr, block(t).w, t}, .geometry = block(t).geometry};
      a.y = {nullptr, block(t).y, t};
      if (fused & 1) a.bias = {&there, {1, 1, 1, 64}, DType::f32};
      if (fused & 2) a.residual = {&there, a.y.shape, t};
      if (fused & 4) a.act = Act::relu;
      const ConvOp op = forward_op(a, 16, false);
      EXPECT_FALSE(ConvGraph(op, h200()).candidates(1, kLimit, 0).empty()) << op.key();
    }
  }
}

TEST(CudnnPlans, AnUnknownEngineIsRefusedNotRun) {
  if (const std::string reason = missing(); !reason.empty()) GTEST_SKIP() << reason;
  EXPECT_FALSE(ConvGraph(block(DType::bf16), h200()).plan({.id = 100000, .knobs = {}}));
  ConvOp wide = block(DType::f64);
  EXPECT_THROW(ConvGraph(wide, h200()), DeviceError);
}

TEST(CudnnPlanFile, RemembersMergesAndForgivesRubbish) {
  if (const std::string reason = missing(); !reason.empty()) GTEST_SKIP() << reason;
  const std::string folder = testing::TempDir() + "/telltale_plans";
  std::filesystem::remove_all(folder);
  setenv("XDG_CACHE_HOME", folder.c_str(), 1);
  PlanFile one("NVIDIA H200"), other("NVIDIA H200");
  const Engine fast{.id = 62, .knobs = {{2, 17}, {14, 3}}}, slow{.id = 0, .knobs = {}};
  one.add("a", fast);
  other.add("b", slow);
  const PlanFile both("NVIDIA H200"), elsewhere("NVIDIA A100");
  EXPECT_EQ(both.find("a"), fast) << "another process's plan was lost";
  EXPECT_EQ(both.find("b"), slow);
  EXPECT_FALSE(both.find("c"));
  EXPECT_FALSE(elsewhere.find("a"));
  write_atomically(both.path(), "{\"a\": [1, 2");
  PlanFile rubbish("NVIDIA H200");
  EXPECT_FALSE(rubbish.find("a"));
  rubbish.add("a", fast);
  EXPECT_EQ(PlanFile("NVIDIA H200").find("a"), fast);
  setenv("XDG_CACHE_HOME", both.path().c_str(), 1);  // a file where a folder should be
  EXPECT_NO_THROW(PlanFile("NVIDIA H200").add("a", fast)) << "a cache that can't be written must not matter";
  unsetenv("XDG_CACHE_HOME");
  std::filesystem::remove_all(folder);
}

TEST(Libraries, AnAbsentOneIsOneClearLine) {
  try {
    const SharedLibrary absent{"libtelltale_absent.so.9"};
    FAIL() << "loaded a library that is not there";
  } catch (const DeviceError& e) {
    const std::string line = e.what();
    EXPECT_NE(line.find("libtelltale_absent.so.9"), std::string::npos) << line;
    EXPECT_NE(line.find("LD_LIBRARY_PATH"), std::string::npos) << line;
    EXPECT_EQ(line.find('\n'), std::string::npos) << line;
  }
  int (*function)() = nullptr;
  EXPECT_THROW(SharedLibrary{"libc.so.6"}.bind(function, "telltale_absent"), DeviceError);
}

class CudnnDevice : public OnDevice {};
INSTANTIATE_TEST_SUITE_P(Devices, CudnnDevice, testing::Values("cuda"), device_label);

TEST_P(CudnnDevice, DescribesTheGpuAtHand) {
  Stream s = stream();
  const std::string description = describe_device(s);
  EXPECT_TRUE(nlohmann::json::accept(description)) << description;
  std::printf("%s\n", description.c_str());  // for bench/h200_deviceprop.json
  const Target same(description);
  EXPECT_FALSE(ConvGraph(block(DType::bf16), same).candidates(1, kLimit, 0).empty());
}

}  // namespace
}  // namespace telltale::cudnn

#else
TEST(CudnnPlans, Skipped) { GTEST_SKIP() << "built without cuDNN's headers: its plans are NOT checked"; }
#endif
