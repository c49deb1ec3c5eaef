#include "losses/loss.h"

#include <cmath>
#include <iomanip>
#include <limits>

#include "base/check.h"
#include "losses/pixels.h"
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

template <class P>
std::vector<std::string> names_where(P&& holds) {
  std::vector<std::string> names;
  for (const auto& [name, e] : entries()) {
    if (holds(e.info)) names.push_back(name);
  }
  return names;
}

const LossEntry& entry(const std::string& name) {
  const auto found = entries().find(name);
  TT_CHECK(found != entries().end(), UsageError, "unknown loss '", name, "'; known: ", joined(loss_names()));
  return found->second;
}

}  // namespace

LossSettings completed(const LossInfo& info, const LossSettings& given) {
  LossSettings all;
  for (const auto& [key, range] : info.settings) all[key] = range.initial;
  for (const auto& [key, value] : given) {
    const auto known = info.settings.find(key);
    if (known == info.settings.end()) {
      std::vector<std::string> names;
      for (const auto& [n, range] : info.settings) names.push_back(n);
      throw UsageError(cat("loss '", info.name, "' has no setting '", key, "'; known: ", joined(names)));
    }
    const SettingRange& range = known->second;
    TT_CHECK(value >= range.low && value <= range.high, UsageError, "loss '", info.name, "': ", key, " must lie in [",
             range.low, ", ", range.high, "], got ", value);
    all[key] = value;
  }
  return all;
}

RegisterLoss::RegisterLoss(LossEntry e) {
  const std::string name = e.info.name;
  entries().emplace(name, std::move(e));
}

std::vector<std::string> loss_names() {
  return names_where([](const LossInfo&) { return true; });
}
std::vector<std::string> box_loss_names() {
  return names_where([](const LossInfo& i) { return i.compares_boxes(); });
}
std::vector<std::string> class_loss_names() {
  return names_where([](const LossInfo& i) { return i.compares_labels; });
}

const LossInfo& loss_info(const std::string& name) { return entry(name).info; }

LossSettings default_settings(const std::string& name) {
  LossSettings all;
  for (const auto& [key, range] : loss_info(name).settings) all[key] = range.initial;
  return all;
}

std::string described(const LossInfo& info) {
  std::ostringstream text;
  text << std::left << std::setw(16) << info.name << info.about << "\n";
  for (const auto& [key, range] : info.settings) {
    text << std::string(16, ' ') << key << " = " << range.initial << ", " << range.low << " or more";
    if (range.high < std::numeric_limits<double>::max()) text << ", at most " << range.high;
    text << "\n";
  }
  return text.str();
}

std::string describe_losses() {
  std::string text;
  for (const auto& [name, e] : entries()) text += described(e.info);
  return text;
}

std::unique_ptr<RowLoss> make_row_loss(const std::string& name, const LossSettings& settings) {
  const LossEntry& e = entry(name);
  return e.make(name, completed(e.info, settings));
}

std::unique_ptr<Loss> make_loss(const std::string& name, const LossSettings& settings) {
  return make_row_loss(name, settings);
}

BoxUnit box_unit_of(const std::string& name) {
  if (name == "normalised") return BoxUnit::normalised;
  TT_CHECK(name == "pixel", UsageError, "unknown box_unit '", name, "'; known: normalised, pixel");
  return BoxUnit::pixel;
}

void RowLoss::eval(Stream& s, Tensor pred, Tensor target, Tensor loss, Tensor dpred, const StepState* state) const {
  check_loss_tensors(*this, pred, target, loss, dpred, state);
  eval_share(s, {pred, target, loss, dpred, state});
}

GradientPoint RowLoss::worst_gradient(uint64_t seed) const {
  const GradientPoint used = telltale::worst_gradient(gradient_check(), seed),
                      dual = telltale::worst_gradient(dual_check(), seed);
  return used.error >= dual.error ? used : dual;
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
