// The detector's loss: a classification loss beside a box loss, on the same rows.
#include <algorithm>
#include <cmath>

#include "base/check.h"
#include "losses/detector_row.h"
#include "losses/registry.h"

namespace telltale {
namespace {

std::string listed(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& n : names) text += (text.empty() ? "" : ", ") + n;
  return text;
}

/// See make_detection_loss.
class DetectionLoss final : public Loss {
 public:
  DetectionLoss(std::unique_ptr<RowLoss> classification, std::unique_ptr<RowLoss> box, const DetectionSettings& s)
      : classification_(std::move(classification)),
        box_(std::move(box)),
        one_launch_(s.class_loss == "bce"),
        alpha_(s.alpha),
        beta_(s.beta) {
    if (s.box_unit == BoxUnit::pixel) unit_x_ = s.width, unit_y_ = s.height;
  }
  std::string name() const override { return "detection_" + box_->name(); }
  int pred_width() const override { return DetectorRow::count; }
  int target_width() const override { return DetectorRow::count; }
  int terms() const override { return DetectionTerms::count; }
  void eval(Stream& s, Tensor pred, Tensor target, Tensor loss, Tensor dpred, const StepState* state) const override {
    check_loss_tensors(*this, pred, target, loss, dpred, state);
    const Share rows{pred, target, loss, dpred, state};
    if (one_launch_) return box_->eval_after_bce(s, classification(rows), box(rows));
    classification_->eval_share(s, classification(rows));
    box_->eval_share(s, box(rows));
  }
  /// Box and logit are checked apart: beside the whole's size, rounding would hide the smaller one's gradient.
  double worst_gradient_error(uint64_t seed) const override {
    const StepState state{.samples = 4, .positives = 2};
    GradientCheck box = box_->gradient_check(), logit = classification_->gradient_check();
    box.value = [this, &state, value = box.value](const double* base, const double* p, const double* t) {
      const Corners at = scaled(base), pred = scaled(p), target = scaled(t);
      return beta_ / state.positives * value(at.v, base == p ? at.v : pred.v, target.v);
    };
    box.gradient = [this, &state](const double* p, const double* t, double* dp) {
      const First row = first({0, p[0], p[1], p[2], p[3]}, {1, t[0], t[1], t[2], t[3]}, state);
      std::copy_n(row.gradient + 1, 4, dp);
      return row.terms[DetectionTerms::box];
    };
    logit.value = [this, &state, value = logit.value](const double* base, const double* p, const double* t) {
      return alpha_ / state.samples * value(base, p, t);
    };
    logit.gradient = [this, &state](const double* p, const double* t, double* dp) {
      const First row = first({p[0], 0, 0, 1, 1}, {t[0], 0, 0, 1, 2}, state);
      *dp = row.gradient[0];
      return row.terms[DetectionTerms::classification];
    };
    return std::max(worst_gradient(box, seed).error, worst_gradient(logit, seed).error);
  }

 private:
  struct Corners {
    double v[4];
  };
  struct Row {
    double v[DetectorRow::count];
  };
  struct First {
    double terms[DetectionTerms::count], gradient[DetectorRow::count];
  };
  Corners scaled(const double* c) const { return {{c[0] * unit_x_, c[1] * unit_y_, c[2] * unit_x_, c[3] * unit_y_}}; }
  Share classification(Share rows) const {
    rows.role = Role::classification;
    rows.weight = alpha_;
    return rows;
  }
  Share box(Share rows) const {
    rows.role = Role::box;
    rows.weight = beta_;
    rows.unit_x = unit_x_;
    rows.unit_y = unit_y_;
    return rows;
  }
  /// What a single row gives.
  First first(Row p, Row t, const StepState& state) const {
    First out{};
    const Shape row{1, 1, 1, DetectorRow::count};
    const Share rows{{p.v, row, DType::f64},
                     {t.v, row, DType::f64},
                     {out.terms, {1, 1, 1, DetectionTerms::count}, DType::f64},
                     {out.gradient, row, DType::f64},
                     &state};
    classification_->eval_first_row(classification(rows));
    box_->eval_first_row(box(rows));
    return out;
  }

  std::unique_ptr<RowLoss> classification_, box_;
  bool one_launch_;
  double alpha_, beta_, unit_x_ = 1, unit_y_ = 1;
};

}  // namespace

std::unique_ptr<Loss> make_detection_loss(const std::string& box_loss, const DetectionSettings& settings) {
  TT_CHECK(loss_info(box_loss).compares_boxes(), UsageError, "loss '", box_loss,
           "' does not compare boxes; known: ", listed(box_loss_names()));
  TT_CHECK(loss_info(settings.class_loss).compares_labels, UsageError, "loss '", settings.class_loss,
           "' does not compare a logit with a label; known: ", listed(class_loss_names()));
  TT_CHECK(settings.box_unit == BoxUnit::normalised || (settings.width > 0 && settings.height > 0), UsageError,
           "box_unit pixel needs the image's width and height, got ", settings.width, " x ", settings.height);
  TT_CHECK(std::isfinite(settings.alpha) && settings.alpha >= 0 && std::isfinite(settings.beta) && settings.beta >= 0,
           UsageError, "alpha and beta must be finite and not negative, got ", settings.alpha, " and ", settings.beta);
  return std::make_unique<DetectionLoss>(make_row_loss(settings.class_loss, settings.class_settings),
                                         make_row_loss(box_loss, settings.box_settings), settings);
}

}  // namespace telltale
