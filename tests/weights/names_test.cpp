// The mapping between engine parameters and state_dicts, and the folding of spectral norm.
#include "weights/names.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "base/check.h"
#include "engine/program.h"
#include "kernels/device/buffer.h"
#include "kernels/device/host_values.h"
#include "nets/nets.h"
#include "weights/elements.h"
#include "weights/spectral_norm.h"

namespace telltale {
namespace {

ParamSpec spec(std::vector<std::string> names, Shape shape) {
  ParamSpec s;
  s.names = std::move(names);
  s.shape = shape;
  return s;
}

std::vector<double> counted(int64_t n) {
  std::vector<double> v(static_cast<size_t>(n));
  std::iota(v.begin(), v.end(), 0.0);
  return v;
}

/// A tensor as a file holds it: elements of `dtype` from an odd address.
StateTensor mapped(const std::vector<double>& values, FileDType dtype) {
  std::vector<unsigned char> bytes(values.size() * size_of(dtype) + 1);
  narrow(dtype, values, bytes.data() + 1);
  return {{"t", dtype, {int64_t(values.size())}},
          [values] { return values; },
          [bytes](std::vector<unsigned char>&) { return StateTensor::Bytes(bytes).subspan(1); }};
}

/// Parts in the engine's layout, on their way through elements of `stored` into a tensor of `type`.
std::vector<double> assigned(const ParamSpec& spec, const std::vector<std::vector<double>>& parts,
                             FileDType stored = FileDType::f64, DType type = DType::f64) {
  Stream s = Stream::cpu(1);
  std::vector<StateTensor> tensors;
  for (const auto& values : parts) tensors.push_back(mapped(values, stored));
  std::vector<const StateTensor*> pointers;
  for (const StateTensor& t : tensors) pointers.push_back(&t);
  const OwnedTensor to(Place::host, spec.shape, type);
  assign(s, spec, to, pointers);
  return values_of(s, to);
}

TEST(NamesTest, FilterMovesChannelsLast) {
  const ParamSpec s = spec({"conv.weight"}, {2, 3, 4, 5});  // K R S C
  EXPECT_EQ(state_dict_shape(s), (std::vector<int64_t>{2, 5, 3, 4}));
  const std::vector<double> oihw = counted(2 * 3 * 4 * 5);
  const std::vector<double> ours = assigned(s, {oihw});
  // Element k=1, r=2, c=3, in-channel 4.
  EXPECT_EQ(ours[((1 * 3 + 2) * 4 + 3) * 5 + 4], oihw[((1 * 5 + 4) * 3 + 2) * 4 + 3]);
  EXPECT_EQ(to_state_dict(s, ours), (std::vector<std::vector<double>>{oihw}));
}

TEST(NamesTest, LinearAfterFlatten) {
  ParamSpec s = spec({"classifier.1.weight"}, {2, 2, 3, 4});  // O h w c
  s.is_linear = true;
  EXPECT_EQ(state_dict_shape(s), (std::vector<int64_t>{2, 24}));
  const std::vector<double> theirs = counted(48), ours = assigned(s, {theirs});
  // Output 1 at h=1, w=2, c=3: torch flattens c, h, w.
  EXPECT_EQ(ours[24 + (1 * 3 + 2) * 4 + 3], theirs[24 + (3 * 2 + 1) * 3 + 2]);
  EXPECT_EQ(to_state_dict(s, ours)[0], theirs);
  s.shape = {2, 1, 1, 24};
  EXPECT_EQ(assigned(s, {theirs}), theirs);
  s.shape = {1, 1, 1, 24};  // one output: still a matrix
  EXPECT_EQ(state_dict_shape(s), (std::vector<int64_t>{1, 24}));
}

TEST(NamesTest, VectorsCountersAndParts) {
  EXPECT_EQ(state_dict_shape(spec({"bn.weight"}, {1, 1, 1, 7})), std::vector<int64_t>{7});
  ParamSpec counter = spec({"bn.num_batches_tracked"}, {1, 1, 1, 1});
  counter.is_counter = true;
  EXPECT_TRUE(state_dict_shape(counter).empty());

  const ParamSpec bias = spec({"g.conv2d.bias", "g.mask_conv2d.bias"}, {1, 1, 1, 4});
  EXPECT_EQ(state_dict_shape(bias), std::vector<int64_t>{2});
  EXPECT_EQ(assigned(bias, {{1, 2}, {3, 4}}), (std::vector<double>{1, 2, 3, 4}));
  EXPECT_EQ(to_state_dict(bias, {1, 2, 3, 4}), (std::vector<std::vector<double>>{{1, 2}, {3, 4}}));

  const ParamSpec filter = spec({"g.conv2d.weight", "g.mask_conv2d.weight"}, {2, 1, 2, 2});
  EXPECT_EQ(state_dict_shape(filter), (std::vector<int64_t>{1, 2, 1, 2}));
  EXPECT_EQ(assigned(filter, {{1, 2, 3, 4}, {5, 6, 7, 8}}), (std::vector<double>{1, 3, 2, 4, 5, 7, 6, 8}));

  EXPECT_THROW(state_dict_shape(spec({"a", "b"}, {3, 1, 1, 2})), ShapeError);
  EXPECT_THROW(assigned(bias, {{1, 2}}), ShapeError);
  EXPECT_THROW(assigned(bias, {{1, 2}, {3}}), ShapeError);
  EXPECT_THROW(to_state_dict(bias, {1, 2, 3}), ShapeError);
}

TEST(NamesTest, EveryStoredTypeReachesBothMasters) {
  const ParamSpec filter = spec({"conv.weight"}, {2, 3, 2, 4}), vector = spec({"bn.bias"}, {1, 1, 1, 48});
  const std::vector<double> values = counted(48), moved = assigned(filter, {values});
  EXPECT_NE(moved, values);
  for (FileDType stored : kFileDTypes)
    for (DType type : {DType::f32, DType::f64}) {
      EXPECT_EQ(assigned(filter, {values}, stored, type), moved) << name_of(stored);
      EXPECT_EQ(assigned(vector, {values}, stored, type), values) << name_of(stored);
    }
  // What no narrower type holds is rounded once, to the nearest.
  const std::vector<double> fine = {1 + 0x1p-40, 1 + 0x1.8p-23, 1.0 / 3};
  const ParamSpec three = spec({"bn.bias"}, {1, 1, 1, 3});
  EXPECT_EQ(assigned(three, {fine}), fine);
  EXPECT_EQ(assigned(three, {fine}, FileDType::f64, DType::f32),
            (std::vector<double>{1, 1 + 0x1p-22, double(float(1.0 / 3))}));
  // A part that no file holds keeps the digits it has; an absent one is zeros.
  Stream s = Stream::cpu(1);
  const OwnedTensor to(Place::host, three.shape, DType::f64);
  const StateTensor computed = state_tensor("bn.bias", {3}, fine);
  assign(s, three, to, {&computed});
  EXPECT_EQ(values_of(s, to), fine);
  assign(s, three, to, {nullptr});
  EXPECT_EQ(values_of(s, to), std::vector<double>(3));
  const OwnedTensor half(Place::host, three.shape, DType::bf16);
  EXPECT_THROW(assign(s, three, half, {&computed}), ShapeError);
}

/// A small ResNet-18 with its state_dict read back into memory.
class LoadTest : public testing::Test {
 protected:
  static Graph net(int outputs) {
    Graph g;
    DetectorSettings settings;
    settings.outputs = outputs;
    settings.width = 0.125;
    resnet18(g, g.input({1, 32, 32, 3}), settings);
    return g;
  }
  static Program program(Stream& s, int outputs, uint64_t seed) {
    Options options;
    options.seed = seed;
    return Program(net(outputs), s, options);
  }
  static StateDict copied(const StateDict& dict) {
    StateDict copy;
    for (const StateTensor& t : dict) copy.push_back(state_tensor(t.info.name, t.info.shape, t.read(), t.info.dtype));
    return copy;
  }
  static void remove(StateDict& dict, const std::string& name) {
    std::erase_if(dict, [&](const StateTensor& t) { return t.info.name == name; });
  }
  /// The text of the refusal, empty when there was none.
  std::string refusal(const StateDict& dict, const std::string& head = "") {
    Program p = program(stream_, 5, 2);
    const std::vector<double> before = params_dict(stream_, p.params())[0].read();
    std::string what;
    try {
      load_params(stream_, p.params(), dict, head);
    } catch (const DataError& e) {
      what = e.what();
      EXPECT_EQ(params_dict(stream_, p.params())[0].read(), before) << "a refused file changed the net";
    }
    return what;
  }

  Stream stream_ = Stream::cpu(1);
};

TEST_F(LoadTest, StateDictIsTorchvisions) {
  Program p = program(stream_, 5, 1);
  const StateDict dict = params_dict(stream_, p.params());
  EXPECT_EQ(dict.size(), 122u);
  EXPECT_EQ(require(dict, "conv1.weight").info.shape, (std::vector<int64_t>{8, 3, 7, 7}));
  EXPECT_EQ(require(dict, "layer4.1.bn2.running_var").info.shape, std::vector<int64_t>{64});
  EXPECT_EQ(require(dict, "fc.weight").info.shape, (std::vector<int64_t>{5, 64}));
  EXPECT_EQ(require(dict, "bn1.num_batches_tracked").info.shape, std::vector<int64_t>{});
  EXPECT_EQ(require(dict, "bn1.num_batches_tracked").info.dtype, FileDType::i64);
  EXPECT_EQ(under_prefix(dict, "layer1.0.bn1.").size(), 5u);
}

TEST_F(LoadTest, RoundTrip) {
  Program a = program(stream_, 5, 1), b = program(stream_, 5, 2);
  StateDict dict = copied(params_dict(stream_, a.params()));
  for (StateTensor& t : dict) t.info.name = "module." + t.info.name;
  const LoadReport report = load_params(stream_, b.params(), dict, "fc");
  EXPECT_EQ(report.loaded, 122);
  EXPECT_TRUE(report.fresh.empty());
  const StateDict now = params_dict(stream_, b.params());
  for (const StateTensor& t : params_dict(stream_, a.params()))
    EXPECT_EQ(t.read(), require(now, t.info.name).read()) << t.info.name;
}

TEST_F(LoadTest, OldFilesLackCounters) {
  Program a = program(stream_, 5, 1), b = program(stream_, 5, 2);
  StateDict dict = copied(params_dict(stream_, a.params()));
  std::erase_if(dict, [](const StateTensor& t) { return t.info.name.ends_with("num_batches_tracked"); });
  EXPECT_EQ(load_params(stream_, b.params(), dict).loaded, 102);
  dict.push_back(state_tensor("bn1.num_batches_tracked", {1}, {9}, FileDType::i64));  // PyTorch 0.3 had no scalars
  EXPECT_EQ(load_params(stream_, b.params(), dict).loaded, 103);
  EXPECT_EQ(require(params_dict(stream_, b.params()), "bn1.num_batches_tracked").read(), std::vector<double>{9});
  dict.back() = state_tensor("bn1.num_batches_tracked", {2}, {9, 9}, FileDType::i64);
  EXPECT_NE(refusal(dict).find("wrong shape: bn1.num_batches_tracked [2]"), std::string::npos);
}

TEST_F(LoadTest, AnotherHeadStaysFresh) {
  Program imagenet = program(stream_, 1000, 1), b = program(stream_, 5, 2);
  const StateDict dict = copied(params_dict(stream_, imagenet.params()));
  const std::vector<double> head = require(params_dict(stream_, b.params()), "fc.weight").read();
  const LoadReport report = load_params(stream_, b.params(), dict, "fc");
  EXPECT_EQ(report.fresh, (std::vector<std::string>{"fc.weight", "fc.bias"}));
  EXPECT_EQ(report.loaded, 120);
  const StateDict now = params_dict(stream_, b.params());
  EXPECT_EQ(require(now, "fc.weight").read(), head);
  EXPECT_EQ(require(now, "layer3.0.conv1.weight").read(), require(dict, "layer3.0.conv1.weight").read());
  EXPECT_NE(refusal(dict).find("wrong shape: fc.weight [1000,64], expected [5,64]"), std::string::npos);
}

TEST_F(LoadTest, AnEncoderIsFilledFromAWholeNet) {
  Program whole = program(stream_, 1000, 1), b = program(stream_, 5, 2);
  const std::vector<std::string> encoder = {"conv1", "bn1", "layer1"};
  StateDict dict = copied(params_dict(stream_, whole.params())), before = copied(params_dict(stream_, b.params()));
  // As of a net whose other layers have other names.
  for (StateTensor& t : dict)
    if (!t.info.name.starts_with("conv1.") && !t.info.name.starts_with("bn1.") && !t.info.name.starts_with("layer1."))
      t.info.name = "other." + t.info.name;
  const LoadReport report = load_params(stream_, b.params(), dict, "", encoder);
  EXPECT_EQ(report.loaded, 1 + 5 + 2 * 12);
  EXPECT_EQ(report.loaded + int(report.fresh.size()), 122);
  const StateDict now = params_dict(stream_, b.params());
  for (const StateTensor& t : before) {
    const bool filled = find(dict, t.info.name) != nullptr;
    EXPECT_EQ(require(filled ? dict : before, t.info.name).read(), require(now, t.info.name).read()) << t.info.name;
  }
  // An encoder must be whole; and what has any other layer of the net must be that net.
  remove(dict, "layer1.1.bn2.weight");
  EXPECT_THROW(load_params(stream_, b.params(), dict, "", encoder), DataError);
  EXPECT_THROW(load_params(stream_, b.params(), copied(params_dict(stream_, whole.params())), "", encoder), DataError);
}

TEST_F(LoadTest, RefusalsListFiveAndCount) {
  Program a = program(stream_, 5, 1);
  const StateDict whole = copied(params_dict(stream_, a.params()));
  EXPECT_EQ(refusal(whole), "");

  StateDict dict = whole;
  remove(dict, "layer2.0.conv1.weight");
  EXPECT_NE(refusal(dict).find("missing: layer2.0.conv1.weight [16,8,3,3]"), std::string::npos);

  dict = whole;
  dict.push_back(state_tensor("aux.weight", {2}, {1, 2}));
  EXPECT_NE(refusal(dict).find("left over: aux.weight [2]"), std::string::npos);

  dict = whole;
  remove(dict, "fc.bias");
  EXPECT_NE(refusal(dict, "fc").find("missing: fc.bias"), std::string::npos);

  const std::string all = refusal({}, "fc");
  EXPECT_NE(all.find("102 tensor(s) do not fit"), std::string::npos) << all;
  EXPECT_NE(all.find("and 97 more"), std::string::npos) << all;
}

// Singular values 3 and 3·(1 − 1e-6): power iteration would need millions of steps.
TEST(SpectralNormTest, CloseSingularValues) {
  const double c = std::cos(0.7), s = std::sin(0.7), a = 3, b = 3 * (1 - 1e-6);
  const std::vector<double> w = {a * c, -b * s, 0, a * s, b * c, 0};
  EXPECT_NEAR(largest_singular_value(w, 2, 3), 3, 1e-13);
  EXPECT_EQ(largest_singular_value({0, 0, 0, 0}, 2, 2), 0);
  EXPECT_NEAR(largest_singular_value({-5, 0, 0, 2}, 2, 2), 5, 1e-14);
}

StateDict normed_conv() {
  return {state_tensor("up.conv2d.module.bias", {2}, {7, 8}),
          state_tensor("up.conv2d.module.weight_bar", {2, 1, 1, 2}, {3, 0, 0, 4}),
          state_tensor("up.conv2d.module.weight_u", {2}, {1, 0}),
          state_tensor("up.conv2d.module.weight_v", {2}, {0.6, 0.8}), state_tensor("other", {1}, {1})};
}

TEST(SpectralNormTest, FoldsToTheLargestSingularValue) {
  const StateDict dict = fold_spectral_norm(normed_conv(), SpectralNorm::folded);
  ASSERT_EQ(dict.size(), 3u);
  EXPECT_EQ(require(dict, "up.conv2d.bias").read(), (std::vector<double>{7, 8}));
  const StateTensor& w = require(dict, "up.conv2d.weight");
  EXPECT_EQ(w.info.shape, (std::vector<int64_t>{2, 1, 1, 2}));
  EXPECT_NEAR(w.read()[0], 0.75, 1e-14);
  EXPECT_NEAR(w.read()[3], 1, 1e-14);
}

TEST(SpectralNormTest, OneStepStartsFromStoredU) {
  // u = (1, 0): one step sees the singular value 3 only.
  const std::vector<double> w =
      require(fold_spectral_norm(normed_conv(), SpectralNorm::one_step), "up.conv2d.weight").read();
  EXPECT_NEAR(w[0], 1, 1e-11);
  EXPECT_NEAR(w[3], 4.0 / 3, 1e-11);
}

TEST(SpectralNormTest, RefusesPartsOfAGroup) {
  StateDict dict = normed_conv();
  std::swap(dict[2], dict.back());
  dict.pop_back();  // weight_u
  EXPECT_THROW(fold_spectral_norm(dict, SpectralNorm::one_step), DataError);
  dict = normed_conv();
  dict[2] = state_tensor("up.conv2d.module.weight_u", {3}, {1, 0, 0});
  EXPECT_THROW(fold_spectral_norm(dict, SpectralNorm::one_step), DataError);
  dict = normed_conv();
  dict.push_back(state_tensor("up.conv2d.module.weight", {1}, {1}));
  EXPECT_THROW(fold_spectral_norm(dict, SpectralNorm::folded), DataError);
  EXPECT_EQ(spectral_norm_of("folded"), SpectralNorm::folded);
  EXPECT_THROW(spectral_norm_of("twice"), UsageError);
}

TEST(SpectralNormTest, DeepFillNamesAreThePublishedOnes) {
  Stream s = Stream::cpu(1);
  Graph g;
  deepfill_v2(g, g.input({1, 32, 32, 3}), g.input({1, 32, 32, 1}), 8);
  Program p(g, s, {});
  const StateDict dict = params_dict(s, p.params());
  EXPECT_EQ(dict.size(), 168u);  // 42 gated convolutions of two filters and two biases
  EXPECT_NE(find(dict, "coarse.12.gated_conv2d.mask_conv2d.weight"), nullptr);
  EXPECT_EQ(require(dict, "refine_combine.6.conv2d.weight").info.shape, (std::vector<int64_t>{3, 4, 3, 3}));
}

}  // namespace
}  // namespace telltale
