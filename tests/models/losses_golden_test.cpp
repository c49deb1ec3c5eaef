// Losses replayed against PyTorch's numbers: every `kind: loss` case in tests/golden.
#include <gtest/gtest.h>

#include <filesystem>
#include <set>
#include <string>

#include "losses/loss.h"
#include "tests/losses/losses_run.h"
#include "weights/safetensors.h"

namespace telltale {
namespace {

TEST(LossGolden, EqualPyTorch) {
  const std::filesystem::path folder = TT_SOURCE_DIR "/tests/golden";
  if (!std::filesystem::exists(folder)) GTEST_SKIP() << folder << " is not there: run tests/make_golden.py";
  std::set<std::string> replayed;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() != ".safetensors") continue;
    const Safetensors file = Safetensors::open(entry.path());
    const Metadata& about = file.metadata();
    if (!about.contains("kind") || about.at("kind") != "loss") continue;
    SCOPED_TRACE(entry.path().filename());
    const std::string name = about.at("loss");
    LossSettings settings = default_settings(name);
    for (auto& [key, value] : settings) {
      if (about.contains(key)) value = std::stod(about.at(key));
    }
    const auto loss = make_loss(name, settings);
    const Outcome got = evaluate(*loss, file.read_f64("pred"), file.read_f64("target"));
    expect_near(got.loss, file.read_f64("expect.loss"), 1e-5);
    expect_near(got.gradient, file.read_f64("expect.grad"), 1e-5);
    replayed.insert(name);
  }
  const std::vector<std::string> all = loss_names();
  EXPECT_EQ(replayed, std::set<std::string>(all.begin(), all.end()))
      << "a loss without a case, or a case without a loss";
}

}  // namespace
}  // namespace telltale
