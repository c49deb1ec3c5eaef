// Losses compiled at run time: the example of docs/losses.md as it stands there, and what is refused.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>

#include "losses/audit.h"
#include "losses/loss_file.h"
#include "losses/nvrtc.h"
#include "tests/losses/losses_run.h"

namespace telltale {
namespace {

namespace fs = std::filesystem;

class LossFile : public testing::Test {
 protected:
  LossFile() { fs::create_directories(folder_); }
  ~LossFile() override { fs::remove_all(folder_); }
  std::string write(const std::string& name, const std::string& text) const {
    std::ofstream(folder_ / name) << text;
    return folder_ / name;
  }
  std::string cache() const { return folder_ / "cache"; }
  /// The C++ of docs/losses.md.
  static std::string example() {
    std::ifstream docs(TT_SOURCE_DIR "/docs/losses.md");
    std::string text;
    bool inside = false;
    for (std::string line; std::getline(docs, line);) {
      if (line.starts_with("```"))
        inside = line == "```cpp";
      else if (inside)
        text += line + "\n";
    }
    return text;
  }
  /// The example under another name, with one thing replaced.
  static std::string variant(const std::string& name, const std::string& from, const std::string& to) {
    std::string text = example();
    const auto replace = [&](const std::string& a, const std::string& b) {
      const size_t at = text.find(a);
      EXPECT_NE(at, std::string::npos) << a;
      if (at != std::string::npos) text.replace(at, a.size(), b);
    };
    replace("\"my_loss\"", "\"" + name + "\"");
    replace(from, to);
    return text;
  }
  static std::string error_of(const std::function<void()>& f) {
    try {
      f();
    } catch (const UsageError& e) {
      return e.what();
    }
    return "no error";
  }
  const fs::path folder_ = fs::temp_directory_path() / cat("telltale-loss-file-", getpid());
};

TEST_F(LossFile, TheExampleOfTheDocsIsALossLikeAnyOther) {
  const std::string text = example();
  EXPECT_LE(std::count(text.begin(), text.end(), '\n'), 22);
  const std::string path = write("my_loss.h", text);
  ASSERT_EQ(load_loss_file(path, cache()), "my_loss");
  EXPECT_EQ(load_loss_file(path, cache()), "my_loss") << "twice is once";
  const std::vector<std::string> names = box_loss_names();
  EXPECT_NE(std::find(names.begin(), names.end(), "my_loss"), names.end());
  EXPECT_EQ(default_settings("my_loss"), (LossSettings{{"gamma", 1.5}}));
  EXPECT_NE(error_of([] { make_loss("my_loss", {{"gamma", .5}}); }), "no error");
  require_right_gradient("my_loss", {{"gamma", 2}});

  const Numbers p = {.1, .2, .6, .7, 0, 0, .2, .2}, t = {.3, .1, .8, .5, .5, .6, .9, .7};
  const Outcome diou = evaluate(*make_loss("diou"), p, t), mine = evaluate(*make_loss("my_loss", {{"gamma", 2}}), p, t);
  for (size_t i = 0; i < p.size(); ++i) {
    EXPECT_NEAR(mine.loss[i / 4], diou.loss[i / 4] * diou.loss[i / 4], 1e-14);
    EXPECT_NEAR(mine.gradient[i], 2 * diou.loss[i / 4] * diou.gradient[i], 1e-13);
  }
  EXPECT_LE(make_detection_loss("my_loss", {.beta = 3})->worst_gradient_error(1), kGradientTolerance);
  compare_devices(*make_loss("my_loss"), p, t, {});

  // What was compiled is kept, and nothing else but the headers.
  int objects = 0;
  for (const auto& entry : fs::directory_iterator(cache())) {
    objects += entry.path().extension() == ".so";
    EXPECT_TRUE(entry.path().extension() == ".so" || entry.is_directory()) << entry.path();
  }
  EXPECT_EQ(objects, 1);
}

TEST_F(LossFile, AWrongGradientIsRefusedWithTheWorstPoint) {
  const std::string path = write("wrong.h", variant("wrong", "};\nTT_REGISTER",
                                                    "  template <class T>\n"
                                                    "  TT_HD T eval(const T* p, const T* t, T* dp) const {\n"
                                                    "    const T y = dual_gradient(*this, p, t, dp);\n"
                                                    "    dp[2] *= T(1.01);\n"
                                                    "    return y;\n"
                                                    "  }\n"
                                                    "};\nTT_REGISTER"));
  const std::string name = load_loss_file(path, cache());
  const std::string error = error_of([&] { require_right_gradient(name); });
  EXPECT_EQ(error.find("the loss 'wrong' is refused, its gradient is wrong by "), 0u) << error;
  EXPECT_NE(error.find("the gradient to pred[2] is "), std::string::npos) << error;
  EXPECT_NE(error.find(", differences say "), std::string::npos) << error;
}

TEST_F(LossFile, WhatDoesNotCompileSaysTheCompilersFirstError) {
  const std::string path = write("typo.h", variant("typo", "b.iou", "b.iuo"));
  const std::string error = error_of([&] { load_loss_file(path, cache()); });
  EXPECT_NE(error.find("typo.h:16:"), std::string::npos) << error;
  EXPECT_NE(error.find("iuo"), std::string::npos) << error;
  EXPECT_EQ(error.find('\n'), std::string::npos) << error;
  for (const auto& entry : fs::directory_iterator(cache())) EXPECT_TRUE(entry.is_directory()) << entry.path();
}

TEST_F(LossFile, WhatRegistersNothingNewIsRefused) {
  const std::string taken = write("taken.h", variant("giou", "TT_REGISTER", "TT_REGISTER"));
  EXPECT_NE(error_of([&] { load_loss_file(taken, cache()); }).find("registers no loss"), std::string::npos);
  EXPECT_NE(error_of([&] { load_loss_file((folder_ / "absent.h").string(), cache()); }), "no error");
}

TEST_F(LossFile, NvrtcCompilesIt) {
  if (!nvrtc_unavailable_reason().empty()) GTEST_SKIP() << nvrtc_unavailable_reason();
  const std::string path = write("my_loss.h", example());
  for (const char* architecture : {"sm_80", "sm_90"}) {
    const std::string cubin = compile_loss_file_for_device(path, architecture, cache());
    for (const char* kernel : {"eval_f32", "eval_f64", "eval_bf16", "eval_f16"}) {
      EXPECT_NE(cubin.find(kernel), std::string::npos) << kernel;
    }
  }
  const std::string typo = write("typo.h", variant("typo", "b.iou", "b.iuo"));
  const std::string error = error_of([&] { compile_loss_file_for_device(typo, "sm_90", cache()); });
  EXPECT_NE(error.find("iuo"), std::string::npos) << error;
  // Ours are such files too: one with a sampler, one with constants, one of labels.
  for (const char* ours : {"smooth_l1", "ciou", "focal_bce"}) {
    EXPECT_NO_THROW(compile_loss_file_for_device(cat(TT_SOURCE_DIR "/losses/", ours, ".cu"), "sm_90", cache())) << ours;
  }
}

}  // namespace
}  // namespace telltale
