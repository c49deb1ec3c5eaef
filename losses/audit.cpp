#include "losses/audit.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"
#include "kernels/device/buffer.h"
#include "kernels/device/host_values.h"
#include "losses/detector_row.h"
#include "losses/pixel_check.h"
#include "losses/registry.h"

namespace telltale {
namespace {

using Row = std::vector<double>;
struct Rows {
  std::vector<Row> pred, target;
};
/// What a batch gave, a row each.
struct Outcome {
  Row value;
  std::vector<Row> gradient;
};

Row joined(const std::vector<Row>& rows) {
  Row all;
  for (const Row& r : rows) all.insert(all.end(), r.begin(), r.end());
  return all;
}

/// A loss and how one of its rows lies in tensors: some numbers, or a map of pixels.
struct Subject {
  Subject(const Loss& l) : loss(l), pred{1, 1, 1, l.pred_width()}, target{1, 1, 1, l.target_width()} {}
  Subject(const Loss& l, const Shape& map) : loss(l), pred(map), target(map) {}
  const Loss& loss;
  Shape pred, target;
};

Shape times(int n, const Shape& one) { return {n, one.h, one.w, one.c}; }

Outcome run(Stream& s, const Subject& of, const Rows& rows, DType type = DType::f64) {
  const int n = int(rows.pred.size()), terms_a_row = of.pred.h * of.loss.terms();
  const DType wide = accumulator_of(type);
  const OwnedTensor pred(s.place(), times(n, of.pred), type), gradient(s.place(), pred.tensor.shape, type);
  const OwnedTensor target(s.place(), times(n, of.target), wide);
  const OwnedTensor terms(s.place(), {n * of.pred.h, 1, 1, of.loss.terms()}, wide),
      state(s.place(), {1, 1, 1, sizeof(StepState)}, DType::u8);
  set_values(s, pred, joined(rows.pred));
  set_values(s, target, joined(rows.target));
  const StepState one;  // one sample, one positive: no mean hides a mistake
  upload(s, state, &one);
  of.loss.eval(s, pred, target, terms, gradient, state.tensor.as<StepState>());
  const Row values = values_of(s, terms), gradients = values_of(s, gradient);
  Outcome out;
  for (int i = 0; i < n; ++i) {
    out.value.push_back(values[size_t(i) * size_t(terms_a_row)]);
    out.gradient.emplace_back(gradients.begin() + int64_t(i) * of.pred.numel(),
                              gradients.begin() + int64_t(i + 1) * of.pred.numel());
  }
  return out;
}

/// Each row by itself, so that a batch's mistakes stay out of other questions.
Outcome run_apart(Stream& s, const Subject& loss, const Rows& rows) {
  Outcome out;
  for (size_t i = 0; i < rows.pred.size(); ++i) {
    const Outcome one = run(s, loss, {{rows.pred[i]}, {rows.target[i]}});
    out.value.push_back(one.value[0]);
    out.gradient.push_back(one.gradient[0]);
  }
  return out;
}

Rows sampled(const GradientCheck& check, uint64_t seed, int count) {
  Random random(seed);
  Rows rows;
  for (int i = 0; i < count; ++i) {
    Row p(check.pred), t(check.target);
    check.sample(random, p.data(), t.data(), i);
    rows.pred.push_back(p);
    rows.target.push_back(t);
  }
  return rows;
}

std::string listed(const Row& row) {
  std::string text;
  for (double x : row) text += (text.empty() ? "" : ", ") + cat(x);
  return "(" + text + ")";
}
std::string where(const Rows& rows, size_t i) {
  return cat("pred ", listed(rows.pred[i]), ", target ", listed(rows.target[i]));
}
bool finite(const Row& row) {
  return std::all_of(row.begin(), row.end(), [](double x) { return std::isfinite(x); });
}
double largest(const Row& row) {
  double most = 0;
  for (double x : row) most = std::max(most, std::abs(x));
  return most;
}
/// Relative to their size, absolute below 1.
bool alike(double a, double b, double tolerance) { return std::abs(a - b) <= tolerance * std::max(1.0, std::abs(b)); }
bool alike(const Row& a, const Row& b, double factor, double tolerance) {
  for (size_t k = 0; k < a.size(); ++k) {
    if (!alike(a[k], b[k] * factor, tolerance)) return false;
  }
  return true;
}

Finding find_not_finite(Stream& s, const Subject& loss, const GradientCheck& check, uint64_t seed) {
  Finding f{Mistake::not_finite};
  const Rows rows = sampled(check, seed, 512);
  for (const DType type : {DType::f64, DType::f32}) {
    const Outcome got = run(s, loss, rows, type);
    for (size_t i = 0; i < rows.pred.size(); ++i) {
      if (std::isfinite(got.value[i]) && finite(got.gradient[i])) continue;
      f.passed = false;
      f.evidence =
          cat(name_of(type), ": loss ", got.value[i], ", gradient ", listed(got.gradient[i]), " at ", where(rows, i));
      return f;
    }
  }
  f.evidence = "finite at 512 points in f64 and f32";
  return f;
}

Finding find_wrong_gradient(const GradientCheck& check, const GradientPoint& worst) {
  Finding f{Mistake::wrong_gradient};
  f.passed = worst.error <= kGradientTolerance;
  f.evidence = cat("worst error ", worst.error, " ", worst.describe());
  if (check.pred == 4 && check.target == 4 && worst.sample >= 0) f.evidence += cat(" (sample ", worst.sample, ")");
  return f;
}

/// Rows together against each alone. Their ratio tells a mean taken inside from a batch met pairwise.
void find_batch_mistakes(Stream& s, const Subject& loss, const GradientCheck& check, uint64_t seed, Finding& pairwise,
                         Finding& reduction) {
  constexpr int kRows = 7;
  constexpr double kSame = 1e-12;
  const Rows rows = sampled(check, seed, kRows);
  const Outcome batch = run(s, loss, rows), alone = run_apart(s, loss, rows);
  bool scaled = true;
  std::string first;
  for (size_t i = 0; i < kRows; ++i) {
    if (!alike(batch.value[i], alone.value[i], kSame) || !alike(batch.gradient[i], alone.gradient[i], 1, kSame)) {
      if (first.empty())
        first = cat("row ", i, " has loss ", alone.value[i], ", gradient ", listed(alone.gradient[i]), " alone, and ",
                    batch.value[i], ", ", listed(batch.gradient[i]), " in a batch of ", kRows);
    }
    const bool value_scaled =
        alike(batch.value[i] * kRows, alone.value[i], 1e-9) || alike(batch.value[i], alone.value[i], kSame);
    const bool gradient_scaled = alike(batch.gradient[i], alone.gradient[i], 1.0 / kRows, 1e-9) ||
                                 alike(batch.gradient[i], alone.gradient[i], kRows, 1e-9) ||
                                 alike(batch.gradient[i], alone.gradient[i], 1, kSame);
    scaled = scaled && value_scaled && gradient_scaled;
  }
  pairwise.passed = first.empty() || scaled;
  reduction.passed = first.empty() || !scaled;
  const std::string fine = cat("each of ", kRows, " rows gives alone what it gives in the batch");
  pairwise.evidence = pairwise.passed ? fine : first + ": other rows reach it";
  reduction.evidence = reduction.passed ? fine : first + ": the batch's size is in it";
}

/// Ordinary boxes, the i-th pair; apart by `gap` times their size where it is above 0.
void ordinary_boxes(Random& random, Row& p, Row& t, double gap) {
  p.resize(4), t.resize(4);
  for (int axis = 0; axis < 2; ++axis) {
    t[axis] = random.uniform(0.3, 0.5);
    t[axis + 2] = t[axis] + random.uniform(0.2, 0.4);
    const double size = random.uniform(0.2, 0.4);
    p[axis] = gap > 0 ? t[axis + 2] + gap * size : t[axis] + random.uniform(-0.1, 0.1);
    p[axis + 2] = p[axis] + size;
  }
}

Finding find_scale(Stream& s, const Loss& loss, uint64_t seed) {
  Finding f{Mistake::scale};
  Rows rows;
  for (const double factor : {1.0, 16.0, 256.0}) {
    Random same(seed);
    for (int i = 0; i < 8; ++i) {
      Row p, t;
      ordinary_boxes(same, p, t, i % 4 == 3 ? 0.5 : 0);
      for (double& x : p) x *= factor;
      for (double& x : t) x *= factor;
      rows.pred.push_back(p);
      rows.target.push_back(t);
    }
  }
  const Outcome got = run_apart(s, loss, rows);
  f.evidence = "the same value for boxes 1, 16 and 256 times as large";
  for (size_t i = 8; i < rows.pred.size(); ++i) {
    if (alike(got.value[i], got.value[i % 8], 1e-4)) continue;  // ε in the denominators: 1e-7 beside areas of 0.04
    f.passed = false;
    f.evidence =
        cat("boxes ", i < 16 ? 16 : 256, " times as large: loss ", got.value[i], " instead of ", got.value[i % 8]);
  }
  return f;
}

Finding find_dead_zone(Stream& s, const Loss& loss, uint64_t seed) {
  Finding f{Mistake::dead_zone};
  Random random(seed);
  Rows rows;
  std::vector<const char*> kinds;
  const auto add = [&](const char* kind, const Row& p, const Row& t) {
    kinds.push_back(kind);
    rows.pred.push_back(p);
    rows.target.push_back(t);
  };
  for (int i = 0; i < 8; ++i) {
    Row p, t;
    ordinary_boxes(random, p, t, 0);
    add("overlapping", p, t);
    for (double gap : {0.1, 1.0, 4.0}) {
      ordinary_boxes(random, p, t, gap);
      add("apart", p, t);
    }
    const Row inner = {t[0] + 0.05, t[1] + 0.06, t[2] - 0.07, t[3] - 0.04};
    add("inside", inner, t);
    add("outside", t, inner);
  }
  const Outcome got = run_apart(s, loss, rows);
  f.evidence = "a gradient wherever boxes overlap, are apart, inside or outside";
  for (size_t i = 0; i < rows.pred.size() && f.passed; ++i) {
    if (largest(got.gradient[i]) > 1e-6) continue;
    f.passed = false;
    f.evidence = cat("boxes ", kinds[i], ": loss ", got.value[i], " and no gradient, at ", where(rows, i));
  }
  return f;
}

Finding find_pull_on_negatives(Stream& s, const Loss& detection, uint64_t seed) {
  Finding f{Mistake::negatives};
  Random random(seed);
  Rows rows;
  for (int i = 0; i < 16; ++i) {
    Row p(DetectorRow::count), t(DetectorRow::count);
    p[0] = 3 * random.normal();
    for (int k = 1; k < DetectorRow::count; ++k) p[k] = random.uniform(), t[k] = i % 2 ? random.uniform() : 0;
    rows.pred.push_back(p);
    rows.target.push_back(t);
  }
  const Outcome got = run_apart(s, detection, rows);
  f.evidence = "16 negatives, no gradient to any corner";
  for (size_t i = 0; i < rows.pred.size() && f.passed; ++i) {
    const Row corners(got.gradient[i].begin() + 1, got.gradient[i].end());
    if (largest(corners) == 0) continue;  // NaN, too, is a pull
    f.passed = false;
    f.evidence = cat("a negative's corners get the gradient ", listed(corners), " at ", where(rows, i));
  }
  return f;
}

/// Maps called wrong everywhere, the more the later.
Finding find_dead_map(Stream& s, const Subject& loss, uint64_t seed) {
  Finding f{Mistake::dead_zone};
  Random random(seed);
  f.evidence = "a gradient wherever a map is called wrong";
  for (int i = 0; i < 16 && f.passed; ++i) {
    Row p, t;
    for (int64_t k = 0; k < loss.pred.numel(); ++k) {
      t.push_back(i % 4 == 3 ? 0 : i % 4 == 2 ? 1 : double(random.integer(0, 1)));
      p.push_back((t.back() > 0 ? -1 : 1) * random.uniform(1, 2 + 0.25 * i));
    }
    const Outcome got = run(s, loss, {{p}, {t}});
    if (largest(got.gradient[0]) > 1e-6) continue;
    f.passed = false;
    f.evidence = cat("a map called wrong: loss ", got.value[0], " and no gradient, at ", where({{p}, {t}}, 0));
  }
  return f;
}

Finding without(Mistake m, const char* why) { return {m, false, true, why}; }

std::vector<Finding> audit_with(Stream& s, const Loss& loss, const GradientCheck& check, const GradientPoint& worst,
                                const Loss* detection, uint64_t seed) {
  const bool boxes = loss.pred_width() == 4 && loss.target_width() == 4;
  Finding pairwise{Mistake::pairwise}, reduction{Mistake::reduction};
  find_batch_mistakes(s, loss, check, seed, pairwise, reduction);
  return {
      find_not_finite(s, loss, check, seed),
      find_wrong_gradient(check, worst),
      pairwise,
      reduction,
      boxes ? find_scale(s, loss, seed) : without(Mistake::scale, "no boxes"),
      boxes ? find_dead_zone(s, loss, seed) : without(Mistake::dead_zone, "no boxes"),
      detection ? find_pull_on_negatives(s, *detection, seed) : without(Mistake::negatives, "no labels beside boxes")};
}

}  // namespace

const char* name_of(Mistake m) {
  switch (m) {
    case Mistake::not_finite: return "not finite";
    case Mistake::wrong_gradient: return "wrong gradient";
    case Mistake::pairwise: return "pairwise broadcast";
    case Mistake::reduction: return "wrong reduction";
    case Mistake::scale: return "scale dependence";
    case Mistake::dead_zone: return "dead zone";
    case Mistake::negatives: return "pull on negatives";
  }
  return "";
}

std::vector<Finding> audit(Stream& s, const Loss& loss, const GradientCheck& check, uint64_t seed) {
  const bool detection = loss.pred_width() == DetectorRow::count && loss.target_width() == DetectorRow::count;
  return audit_with(s, loss, check, worst_gradient(check, seed), detection ? &loss : nullptr, seed);
}

std::vector<Finding> audit(Stream& s, const std::string& name, const LossSettings& settings, uint64_t seed) {
  const std::unique_ptr<RowLoss> loss = make_row_loss(name, settings);
  std::unique_ptr<Loss> detection;
  if (loss_info(name).compares_boxes()) detection = make_detection_loss(name, {.box_settings = settings});
  return audit_with(s, *loss, loss->gradient_check(), loss->worst_gradient(seed), detection.get(), seed);
}

std::vector<Finding> audit_pixels(Stream& s, const Loss& loss, uint64_t seed) {
  const Subject maps(loss, {1, 3, 4, 1});
  Stream host = Stream::cpu();
  const GradientCheck check = pixel_gradient_check(host, loss, maps.pred);
  Finding pairwise{Mistake::pairwise}, reduction{Mistake::reduction};
  find_batch_mistakes(s, maps, check, seed, pairwise, reduction);
  return {find_not_finite(s, maps, check, seed),
          find_wrong_gradient(check, worst_pixel_gradient(loss, seed)),
          pairwise,
          reduction,
          without(Mistake::scale, "no boxes"),
          find_dead_map(s, maps, seed),
          without(Mistake::negatives, "no labels beside boxes")};
}

GradientCheck black_box_check(Stream& s, const Loss& loss, Sampler sample) {
  const auto gradient = [&s, &loss](const double* p, const double* t, double* dp) {
    const Outcome got = run(s, loss, {{Row(p, p + loss.pred_width())}, {Row(t, t + loss.target_width())}});
    std::copy(got.gradient[0].begin(), got.gradient[0].end(), dp);
    return got.value[0];
  };
  const auto value = [gradient, width = size_t(loss.pred_width())](const double*, const double* p, const double* t) {
    Row unused(width);
    return gradient(p, t, unused.data());
  };
  return {loss.pred_width(), loss.target_width(), std::move(sample), value, gradient};
}

void require_right_gradient(const std::string& name, const LossSettings& settings, uint64_t seed) {
  const GradientPoint worst = make_row_loss(name, settings)->worst_gradient(seed);
  TT_CHECK(worst.error <= kGradientTolerance, UsageError, "the loss '", name, "' is refused, its gradient is wrong by ",
           worst.error, " ", worst.describe());
}

}  // namespace telltale
