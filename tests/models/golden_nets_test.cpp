// Every committed parity case of a net or a generator, as `parity` replays it; and that a wrong number fails it.
#include <gtest/gtest.h>

#include <filesystem>

#include "base/check.h"
#include "models/parity.h"
#include "tests/devices.h"

namespace telltale {
namespace {

std::vector<std::string> cases(const std::string& prefix) {
  std::vector<std::string> paths;
  for (const auto& f : std::filesystem::directory_iterator(TT_SOURCE_DIR "/tests/golden")) {
    if (f.path().filename().string().starts_with(prefix)) paths.push_back(f.path());
  }
  return paths;
}

void replay_all(Stream& s, DType compute) {
  const std::vector<std::string> nets = cases("net_"), inpaint = cases("inpaint_");
  EXPECT_EQ(nets.size(), 8u);     // four detectors, evaluated and trained
  EXPECT_EQ(inpaint.size(), 4u);  // both ways to take spectral norm out, both forms of official
  for (const auto* paths : {&nets, &inpaint}) {
    for (const std::string& path : *paths) {
      const ParityReport report = replay_parity_case(s, Safetensors::open(path), {.compute = compute});
      EXPECT_FALSE(report.rows.empty());
      for (const ParityRow& r : report.rows) {
        if (r.tensor == "expect.refined") {  // the small cases are held to the stricter limit
          EXPECT_LE(r.relative, kForwardTolerance) << path;
        }
        EXPECT_TRUE(r.passed()) << path << " " << r.tensor << ": relative error " << r.relative << " > " << r.limit;
      }
    }
  }
}

class GoldenNetsOn : public OnDevice {};
INSTANTIATE_TEST_SUITE_P(Devices, GoldenNetsOn, every_device(), device_label);

TEST_P(GoldenNetsOn, InSingle) {
  Stream s = stream();
  replay_all(s, DType::f32);
}
TEST(GoldenNets, CpuInDouble) {
  Stream s = Stream::cpu();
  replay_all(s, DType::f64);
}

TEST(GoldenNets, AWrongExpectationFails) {
  const Safetensors file = Safetensors::open(TT_SOURCE_DIR "/tests/golden/net_resnet18_eval.safetensors");
  StateDict dict = file.state_dict();
  for (StateTensor& t : dict) {
    if (t.info.name != "expect.output") continue;
    std::vector<double> v = t.read();
    v[3] += 1e-3;
    t = state_tensor(t.info.name, t.info.shape, v);
  }
  const std::string path = testing::TempDir() + "wrong.safetensors";
  write_safetensors(path, dict, file.metadata());
  Stream s = Stream::cpu();
  EXPECT_FALSE(replay_parity_case(s, Safetensors::open(path), {}).passed());
  std::filesystem::remove(path);
}

TEST(GoldenNets, BadCasesAreNamed) {
  const Safetensors file = Safetensors::open(TT_SOURCE_DIR "/tests/golden/net_resnet18_eval.safetensors");
  const std::string path = testing::TempDir() + "bad.safetensors";
  Stream s = Stream::cpu();
  const auto message = [&](const StateDict& dict, const Metadata& metadata) {
    write_safetensors(path, dict, metadata);
    try {
      replay_parity_case(s, Safetensors::open(path), {});
    } catch (const Error& e) {
      return std::string(e.what());
    }
    return std::string("no error");
  };
  Metadata about = file.metadata();
  about["kind"] = "poem";
  EXPECT_NE(message(file.state_dict(), about).find("kind \"poem\""), std::string::npos);
  about = file.metadata();
  about["net"] = "lenet";
  EXPECT_NE(message(file.state_dict(), about).find("unknown net \"lenet\""), std::string::npos);
  StateDict dict = file.state_dict();
  std::erase_if(dict, [](const StateTensor& t) { return t.info.name == "param.layer2.0.conv1.weight"; });
  EXPECT_NE(message(dict, file.metadata()).find("layer2.0.conv1.weight"), std::string::npos);
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace telltale
