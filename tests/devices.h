#pragma once
// The devices a test runs on. A GPU that is not there skips its tests in the driver's own words; TT_REQUIRE_GPU=1 makes
// that a failure.
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "kernels/device/stream.h"

namespace telltale {

/// Why a test cannot run on a device; empty where it can.
inline std::string device_missing(const std::string& device) {
  return device == "cuda" ? cuda_unavailable_reason() : std::string();
}
inline bool gpu_required() { return std::getenv("TT_REQUIRE_GPU") != nullptr; }

/// A test that takes its device by name: `stream()` is it.
class OnDevice : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    const std::string reason = device_missing(GetParam());
    if (reason.empty()) return;
    if (gpu_required()) FAIL() << "TT_REQUIRE_GPU is set, but: " << reason;
    GTEST_SKIP() << reason;
  }
  static Stream stream() { return Stream::open(GetParam()); }
};

/// For INSTANTIATE_TEST_SUITE_P: where the `.cu` bodies run, and the same with the host's own kernels before them.
inline auto device_bodies() { return testing::Values("emulated", "cuda"); }
inline auto every_device() { return testing::Values("cpu", "emulated", "cuda"); }
inline std::string device_label(const testing::TestParamInfo<std::string>& info) { return info.param; }

}  // namespace telltale
