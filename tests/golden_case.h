#pragma once
// Reading tests/golden/layers.safetensors and comparing with it.
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "engine/program.h"
#include "kernels/device/host_values.h"
#include "weights/names.h"
#include "weights/safetensors.h"

namespace telltale {

inline std::vector<double> nhwc_of(const std::vector<double>& nchw, const Shape& s) {
  std::vector<double> out(nchw.size());
  const int64_t pixels = int64_t(s.h) * s.w;
  for (int64_t n = 0; n < s.n; ++n) {
    for (int64_t c = 0; c < s.c; ++c) {
      for (int64_t p = 0; p < pixels; ++p)
        out[size_t((n * pixels + p) * s.c + c)] = nchw[size_t((n * s.c + c) * pixels + p)];
    }
  }
  return out;
}

/// ‖got − expected‖ ≤ limit·‖expected‖.
inline void expect_close(const std::string& what, const std::vector<double>& got, const std::vector<double>& expected,
                         double limit) {
  ASSERT_EQ(got.size(), expected.size()) << what;
  double difference = 0, norm = 0;
  for (size_t i = 0; i < got.size(); ++i) {
    difference += (got[i] - expected[i]) * (got[i] - expected[i]);
    norm += expected[i] * expected[i];
  }
  EXPECT_LE(std::sqrt(difference), limit * std::sqrt(norm) + 1e-30) << what;
}

/// One case of the file.
class LayerCase {
 public:
  LayerCase(const Safetensors& file, std::string name, const std::string& settings)
      : file_(file), name_(std::move(name)), settings_(nlohmann::json::parse(settings)) {}
  const std::string& name() const { return name_; }
  std::string op() const { return settings_.at("op"); }
  int integer(const char* key) const { return settings_.at(key).get<int>(); }
  float number(const char* key) const { return settings_.at(key).get<float>(); }
  bool flag(const char* key) const { return settings_.at(key).get<bool>(); }
  const nlohmann::json& settings() const { return settings_; }
  Act act() const {
    const std::string a = settings_.at("act");
    return a == "relu"      ? Act::relu
           : a == "elu"     ? Act::elu
           : a == "sigmoid" ? Act::sigmoid
           : a == "tanh"    ? Act::tanh
                            : Act::none;
  }
  bool has(const std::string& tensor) const { return file_.contains(name_ + "." + tensor); }
  const std::vector<int64_t>& dims(const std::string& tensor) const { return file_.info(name_ + "." + tensor).shape; }
  /// A tensor's shape as NHWC.
  Shape shape(const std::string& tensor) const {
    const auto& d = dims(tensor);
    return d.size() == 4 ? Shape{int(d[0]), int(d[2]), int(d[3]), int(d[1])} : Shape{int(d.at(0)), 1, 1, int(d.at(1))};
  }
  /// Its values in file order, and as NHWC.
  std::vector<double> values(const std::string& tensor) const { return file_.read_f64(name_ + "." + tensor); }
  std::vector<double> nhwc(const std::string& tensor) const { return nhwc_of(values(tensor), shape(tensor)); }
  /// A parameter for load_params.
  StateTensor parameter(const std::string& tensor, const std::string& as) const {
    return state_tensor(as, dims(tensor), values(tensor));
  }

 private:
  const Safetensors& file_;
  std::string name_;
  nlohmann::json settings_;
};

}  // namespace telltale
