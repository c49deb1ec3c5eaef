// Which net a state_dict is, and what is said of one that is none.
#include "models/families.h"

#include <gtest/gtest.h>

#include "base/check.h"
#include "engine/program.h"
#include "nets/nets.h"
#include "weights/names.h"
#include "weights/safetensors.h"

namespace telltale {
namespace {

StateTensor zeros(const std::string& name, const std::vector<int64_t>& shape) {
  int64_t n = 1;
  for (int64_t d : shape) n *= d;
  return state_tensor(name, shape, std::vector<double>(size_t(n)));
}

/// A family's tensors at a small width, as if read from a file.
StateDict member(const std::string& name, int64_t first, int64_t head) {
  StateDict dict;
  for (const NetFamily& f : net_families()) {
    if (f.name != name) continue;
    for (const TensorInfo& t : f.tensors(first, head)) dict.push_back(zeros(t.name, t.shape));
  }
  return dict;
}

std::string refusal(const StateDict& dict) {
  try {
    return "taken for " + identify(dict, net_families()).family;
  } catch (const DataError& e) {
    return e.what();
  }
}

TEST(FamiliesTool, EveryNetKnowsItself) {
  ASSERT_EQ(net_families().size(), 7u);
  for (const NetFamily& f : net_families()) {
    for (const int64_t width : {8, 16}) {
      const int64_t outputs = f.head.empty() ? 0 : width == 8 ? 5 : 1000;
      const NetIdentity found = identify(member(f.name, width, outputs), net_families());
      EXPECT_EQ(found.family, f.name);
      EXPECT_EQ(found.width, width);
      EXPECT_EQ(found.outputs, outputs);
      EXPECT_FALSE(found.spectral_norm);
    }
  }
}

TEST(FamiliesTool, PublishedSizes) {
  const auto numbers = [](const std::string& name, int64_t first) {
    int64_t n = 0;
    for (const StateTensor& t : member(name, first, 5)) n += t.info.shape.empty() ? 0 : t.info.numel();
    return n;
  };
  EXPECT_EQ(numbers("alexnet", 64), 57'024'325);
  EXPECT_EQ(numbers("vgg11", 64), 128'786'821);
  EXPECT_EQ(numbers("official", 48), 4'052'478);  // nipponjo's networks_tf.py, counted with PyTorch
  EXPECT_EQ(numbers("official_torch", 48), 4'052'478);
}

TEST(FamiliesTool, SpectralNormAndPrefixesDoNotHideANet) {
  const Safetensors file = Safetensors::open(TT_SOURCE_DIR "/tests/golden/inpaint_one_step.safetensors");
  StateDict dict = under_prefix(file.state_dict(), "param.");
  const NetIdentity found = identify(dict, net_families());
  EXPECT_EQ(found.family, "csqiangwen");
  EXPECT_TRUE(found.spectral_norm);
  EXPECT_EQ(identify(net_parameters(dict), net_families()).spectral_norm, false);
  for (StateTensor& t : dict) t.info.name = "module." + t.info.name;
  EXPECT_EQ(identify(dict, net_families()).width, found.width);
}

TEST(FamiliesTool, CountersMayBeMissingOrVectors) {
  StateDict dict = member("resnet18", 8, 5);
  for (StateTensor& t : dict)
    if (t.info.name == "bn1.num_batches_tracked") t = zeros(t.info.name, {1});
  EXPECT_EQ(refusal(dict), "taken for resnet18");
  std::erase_if(dict, [](const StateTensor& t) { return t.info.name.ends_with("num_batches_tracked"); });
  EXPECT_EQ(refusal(dict), "taken for resnet18");
}

TEST(FamiliesTool, MixturesAreRefusedWithTheList) {
  StateDict dict = member("resnet18", 8, 5);
  const StateDict other = member("official", 8, 0);
  dict.insert(dict.end(), other.begin(), other.end());
  const std::string why = refusal(dict);
  EXPECT_EQ(why.find("no net known here; closest is"), 0u) << why;
  EXPECT_NE(why.find("left over: "), std::string::npos) << why;
  EXPECT_NE(why.find(" more"), std::string::npos) << why;

  dict = member("resnet50", 8, 5);
  dict.push_back(zeros("fc.scale", {5}));
  EXPECT_NE(refusal(dict).find("closest is resnet50, but 1 tensor(s) do not fit it:\n  left over: fc.scale [5]"),
            std::string::npos);
  dict.pop_back();
  std::erase_if(dict, [](const StateTensor& t) { return t.info.name == "layer3.5.bn2.bias"; });
  EXPECT_NE(refusal(dict).find("1 tensor(s) do not fit it:\n  missing: layer3.5.bn2.bias [32]"), std::string::npos);
  dict = member("vgg11", 8, 5);
  dict[2] = zeros(dict[2].info.name, {16, 8, 5, 5});
  EXPECT_NE(refusal(dict).find("wrong shape: features.3.weight [16,8,5,5], expected [16,8,3,3]"), std::string::npos);
}

TEST(FamiliesTool, StrangersAndBrokenWidthsAreRefused) {
  EXPECT_NE(refusal({zeros("encoder.weight", {3, 3})}).find("belongs to a net known here: alexnet, vgg11"),
            std::string::npos);
  EXPECT_NE(refusal({}).find("none of its 0 tensors"), std::string::npos);
  for (const int64_t width : {int64_t(0), int64_t(7), int64_t(1) << 40}) {
    StateDict dict = member("official", 8, 0);
    dict[0].info.shape[0] = width;  // numbers are read only when a net is loaded
    EXPECT_NE(refusal(dict).find("closest is official"), std::string::npos) << width;
  }
}

TEST(FamiliesTool, TheFilterOfScoresMustBeTheIdentity) {
  const std::string name = "stage2.contextual_attention.fuse_weight";
  StateDict dict = member("official_torch", 8, 0);
  dict.push_back(state_tensor(name, {1, 1, 3, 3}, {1, 0, 0, 0, 1, 0, 0, 0, 1}));
  EXPECT_EQ(refusal(dict), "taken for official_torch");
  dict.back() = state_tensor(name, {1, 1, 3, 3}, {1, 0, 0, 0, 1, 0, 0, 0, 2});
  EXPECT_NE(refusal(dict).find("fuse_weight: must be the 3x3 identity"), std::string::npos);
}

}  // namespace
}  // namespace telltale
