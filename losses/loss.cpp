#include "losses/loss.h"

#include <cmath>

#include "kernels/core/check.h"
#include "losses/registry.h"

namespace telltale {
namespace {

/// A function's static, so that it exists before the first registration whatever the order of files.
std::map<std::string, LossEntry>& entries() {
  static std::map<std::string, LossEntry> all;
  return all;
}

std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& n : names) text += (text.empty() ? "" : ", ") + n;
  return text.empty() ? "none" : text;
}

const LossEntry& entry(const std::string& name) {
  const auto found = entries().find(name);
  TT_CHECK(found != entries().end(), UsageError, "unknown loss '", name, "'; known: ", joined(loss_names()));
  return found->second;
}

/// The defaults with the caller's values over them.
LossSettings completed(const std::string& name, const LossSettings& given) {
  const LossEntry& e = entry(name);
  LossSettings all = default_settings(name);
  for (const auto& [key, value] : given) {
    const auto known = e.settings.find(key);
    if (known == e.settings.end()) {
      std::vector<std::string> names;
      for (const auto& [n, range] : e.settings) names.push_back(n);
      throw UsageError(cat("loss '", name, "' has no setting '", key, "'; known: ", joined(names)));
    }
    const SettingRange& range = known->second;
    TT_CHECK(value >= range.low && value <= range.high, UsageError, "loss '", name, "': ", key, " must lie in [",
             range.low, ", ", range.high, "], got ", value);
    all[key] = value;
  }
  return all;
}

}  // namespace

RegisterLoss::RegisterLoss(const std::string& name, LossEntry e) { entries().emplace(name, std::move(e)); }

std::vector<std::string> loss_names() {
  std::vector<std::string> names;
  for (const auto& [name, e] : entries()) names.push_back(name);
  return names;
}

std::vector<std::string> box_loss_names() {
  std::vector<std::string> names;
  for (const auto& [name, e] : entries()) {
    if (e.make_detection) names.push_back(name);
  }
  return names;
}

LossSettings default_settings(const std::string& name) {
  LossSettings all;
  for (const auto& [key, range] : entry(name).settings) all[key] = range.initial;
  return all;
}

std::unique_ptr<Loss> make_loss(const std::string& name, const LossSettings& settings) {
  return entry(name).make(name, completed(name, settings));
}

BoxUnit box_unit_of(const std::string& name) {
  if (name == "normalised") return BoxUnit::normalised;
  TT_CHECK(name == "pixel", UsageError, "unknown box_unit '", name, "'; known: normalised, pixel");
  return BoxUnit::pixel;
}

std::unique_ptr<Loss> make_detection_loss(const std::string& box_loss, const DetectionSettings& settings) {
  const auto make = entry(box_loss).make_detection;
  TT_CHECK(make, UsageError, "loss '", box_loss, "' does not compare boxes; known: ", joined(box_loss_names()));
  TT_CHECK(settings.box_unit == BoxUnit::normalised || (settings.width > 0 && settings.height > 0), UsageError,
           "box_unit pixel needs the image's width and height, got ", settings.width, " x ", settings.height);
  TT_CHECK(std::isfinite(settings.alpha) && settings.alpha >= 0 && std::isfinite(settings.beta) && settings.beta >= 0,
           UsageError, "alpha and beta must be finite and not negative, got ", settings.alpha, " and ", settings.beta);
  DetectionSettings all = settings;
  all.box_settings = completed(box_loss, settings.box_settings);
  return make(box_loss, all);
}

void check_loss_tensors(const Loss& loss, Tensor pred, Tensor target, Tensor terms, Tensor dpred,
                        const StepState* state) {
  const int n = pred.shape.n;
  const DType type = accumulator_of(pred.dtype);
  const auto check = [&](const char* what, Tensor t, int width, DType dtype) {
    const Shape expected{n, 1, 1, width};
    TT_CHECK(t.shape == expected && t.dtype == dtype, ShapeError, "loss ", loss.name(), ": ", what, " must be ",
             to_string(expected), " ", name_of(dtype), ", got ", to_string(t.shape), " ", name_of(t.dtype));
    TT_CHECK(t.data || n == 0, ShapeError, "loss ", loss.name(), ": ", what, " has no memory");
  };
  check("pred", pred, loss.pred_width(), pred.dtype);
  check("target", target, loss.target_width(), type);
  check("loss", terms, loss.terms(), type);
  check("dpred", dpred, loss.pred_width(), pred.dtype);
  TT_CHECK(state, ShapeError, "loss ", loss.name(), ": the step's state is missing");
}

}  // namespace telltale
