// The audit: each classic mistake, planted, is found by its name, and a right loss passes.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>

#include "losses/audit.h"
#include "losses/box_geometry.h"
#include "losses/registry.h"

namespace telltale {
namespace {

enum class Fault { none, gradient, rounding_gradient, sort, empty_box };

/// GIoU with a hand-written gradient, and one thing wrong.
template <Fault fault>
struct FaultyGiou {
  static constexpr int pred = 4, target = 4;
  template <class V, class T>
  V value(const V* p, const T* t) const {
    const T epsilon = fault == Fault::empty_box ? 0 : kBoxEpsilon;
    const BoxPair b(p, t);
    const V hull = b.hull.area();
    return 1 - b.intersection / (b.joint + epsilon) + (hull - b.joint) / (hull + epsilon);
  }
  template <class T>
  T eval(const T* p, const T* t, T* dp) const {
    const T loss = dual_gradient(*this, p, t, dp);
    if (fault == Fault::gradient && p[3] > t[3]) dp[3] = -dp[3];
    if (fault == Fault::rounding_gradient) dp[3] *= 1.00001;
    if (fault == Fault::sort && p[0] > p[2]) std::swap(dp[0], dp[2]);
    return loss;
  }
};

template <Fault fault>
GradientPoint worst_of() {
  return worst_gradient(gradient_check(FaultyGiou<fault>{}), 1);
}

/// A loss over a batch in f64 and f32, as someone might write it.
class PlantedLoss final : public Loss {
 public:
  /// Fills loss (a row each, terms wide) and gradient of n rows.
  using Batch = std::function<void(int n, const double* p, const double* t, double* loss, double* dp)>;
  PlantedLoss(int width, Batch batch) : width_(width), batch_(std::move(batch)) {}
  std::string name() const override { return "planted"; }
  int pred_width() const override { return width_; }
  int target_width() const override { return width_; }
  int terms() const override { return width_ == 5 ? 3 : 1; }
  void eval(Stream&, Tensor pred, Tensor target, Tensor loss, Tensor dpred, const StepState*) const override {
    const int n = pred.shape.n;
    const auto wide = [](const Tensor& x) {
      std::vector<double> v(size_t(x.shape.numel()));
      for (size_t i = 0; i < v.size(); ++i) v[i] = x.dtype == DType::f64 ? x.as<double>()[i] : x.as<float>()[i];
      return v;
    };
    std::vector<double> p = wide(pred), t = wide(target), l(size_t(n) * terms()), d(p.size());
    batch_(n, p.data(), t.data(), l.data(), d.data());
    const auto assign = [](const std::vector<double>& v, const Tensor& x) {
      for (size_t i = 0; i < v.size(); ++i) {
        x.dtype == DType::f64 ? void(x.as<double>()[i] = v[i]) : void(x.as<float>()[i] = float(v[i]));
      }
    };
    assign(l, loss);
    assign(d, dpred);
  }
  double worst_gradient_error(uint64_t) const override { return 0; }

 private:
  int width_;
  Batch batch_;
};

const FaultyGiou<Fault::none> kGiou;

std::vector<Mistake> mistakes(const std::vector<Finding>& findings) {
  std::vector<Mistake> found;
  for (const Finding& f : findings) {
    EXPECT_FALSE(f.evidence.empty()) << name_of(f.mistake);
    if (!f.passed) found.push_back(f.mistake);
  }
  return found;
}
std::vector<Mistake> audited(const PlantedLoss& loss, const Sampler& sample = sample_boxes) {
  Stream s = Stream::cpu();
  return mistakes(audit(s, loss, black_box_check(s, loss, sample)));
}
using Mistakes = std::vector<Mistake>;

TEST(Audit, TheRightLossPasses) {
  EXPECT_EQ(audited(PlantedLoss(4,
                                [](int n, const double* p, const double* t, double* loss, double* dp) {
                                  for (int i = 0; i < n; ++i)
                                    loss[i] = value_and_gradient(kGiou, p + 4 * i, t + 4 * i, dp + 4 * i);
                                })),
            Mistakes{});
}

TEST(Audit, FindsGiouTakenPairwise) {
  // torchvision.ops.generalized_box_iou gives every box against every other; summing that is the published mistake.
  EXPECT_EQ(audited(PlantedLoss(4,
                                [](int n, const double* p, const double* t, double* loss, double* dp) {
                                  for (int i = 0; i < n; ++i) {
                                    loss[i] = 0;
                                    std::fill_n(dp + 4 * i, 4, 0.0);
                                    for (int j = 0; j < n; ++j) {
                                      double d[4];
                                      loss[i] += value_and_gradient(kGiou, p + 4 * i, t + 4 * j, d);
                                      for (int k = 0; k < 4; ++k) dp[4 * i + k] += d[k];
                                    }
                                  }
                                })),
            Mistakes{Mistake::pairwise});
}

TEST(Audit, FindsABatchMeanTakenInside) {
  EXPECT_EQ(audited(PlantedLoss(4,
                                [](int n, const double* p, const double* t, double* loss, double* dp) {
                                  for (int i = 0; i < n; ++i) {
                                    loss[i] = value_and_gradient(kGiou, p + 4 * i, t + 4 * i, dp + 4 * i) / n;
                                    for (int k = 0; k < 4; ++k) dp[4 * i + k] /= n;
                                  }
                                })),
            Mistakes{Mistake::reduction});
}

TEST(Audit, FindsAWrongGradient) {
  EXPECT_EQ(audited(PlantedLoss(4,
                                [](int n, const double* p, const double* t, double* loss, double* dp) {
                                  for (int i = 0; i < n; ++i) {
                                    loss[i] = value_and_gradient(FaultyGiou<Fault::gradient>{}, p + 4 * i, t + 4 * i,
                                                                 dp + 4 * i);
                                  }
                                })),
            Mistakes{Mistake::wrong_gradient});
}

TEST(Audit, FindsNanAtAnEmptyBox) {
  const Mistakes found = audited(PlantedLoss(4, [](int n, const double* p, const double* t, double* loss, double* dp) {
    for (int i = 0; i < n; ++i)
      loss[i] = value_and_gradient(FaultyGiou<Fault::empty_box>{}, p + 4 * i, t + 4 * i, dp + 4 * i);
  }));
  EXPECT_EQ(found,
            (Mistakes{Mistake::not_finite, Mistake::wrong_gradient}));  // there is no gradient where there is no value
}

TEST(Audit, FindsAPullOnNegatives) {
  const auto sample = [](Random& random, double* p, double* t, int i) {
    p[0] = random.normal();
    t[0] = i % 2;
    sample_numbers(random, p + 1, t + 1, i);
  };
  for (const bool masked : {true, false}) {
    const PlantedLoss loss(5, [&](int n, const double* p, const double* t, double* loss, double* dp) {
      for (int i = 0; i < n; ++i, p += 5, t += 5, dp += 5, loss += 3) {
        loss[1] = loss[2] = dp[0] = 0;
        for (int k = 1; k < 5; ++k) {
          dp[k] = masked && t[0] == 0 ? 0 : 2 * (p[k] - t[k]);
          loss[2] += dp[k] * dp[k] / 4;
        }
        loss[0] = loss[2];
      }
    });
    EXPECT_EQ(audited(loss, sample), masked ? Mistakes{} : Mistakes{Mistake::negatives});
  }
}

TEST(Audit, SaysOfRegisteredLossesWhatIsKnownOfThem) {
  Stream s = Stream::cpu();
  for (const std::string& name : loss_names()) {
    Mistakes known;
    for (const char* numbers : {"mse", "l1", "smooth_l1", "huber"}) {
      if (name == numbers) known = {Mistake::scale};
    }
    for (const char* overlap_only : {"iou", "alpha_iou", "focal_eiou"}) {
      if (name == overlap_only) known = {Mistake::dead_zone};
    }
    EXPECT_EQ(mistakes(audit(s, name)), known) << name;
  }
}

TEST(GradientCheck, SeesEachFaultAndSaysWhere) {
  EXPECT_LE(worst_of<Fault::none>().error, kGradientTolerance);
  EXPECT_GT(worst_of<Fault::rounding_gradient>().error, kGradientTolerance);
  EXPECT_GT(worst_of<Fault::sort>().error, 1e-3);
  const GradientPoint wrong = worst_of<Fault::gradient>();
  EXPECT_GT(wrong.error, 1e-3);
  EXPECT_EQ(wrong.number, 3);
  EXPECT_NEAR(wrong.gradient, -wrong.high, 1e-6);
  EXPECT_NE(wrong.describe().find("the gradient to pred[3] is "), std::string::npos) << wrong.describe();
  const GradientPoint empty = worst_of<Fault::empty_box>();
  EXPECT_EQ(empty.error, std::numeric_limits<double>::infinity());
  EXPECT_NE(empty.describe().find("the loss is nan"), std::string::npos) << empty.describe();
}

/// Its hand-written value forgets a factor.
struct OtherValue {
  static constexpr int pred = 1, target = 1;
  template <class V, class T>
  V value(const V* p, const T* t) const {
    return (p[0] - t[0]) * (p[0] - t[0]);
  }
  template <class T>
  T eval(const T* p, const T* t, T* dp) const {
    dp[0] = 2 * (p[0] - t[0]);
    return (p[0] - t[0]) * (p[0] - t[0]) / 2;
  }
};

TEST(GradientCheck, SeesAHandWrittenValueThatDiffersFromTheFormula) {
  const GradientPoint worst = worst_gradient(gradient_check(OtherValue{}), 1);
  EXPECT_GT(worst.error, 1);
  EXPECT_NE(worst.describe().find("the formula gives"), std::string::npos) << worst.describe();
}

/// Every function a Dual has, by differences.
struct EveryFunction {
  static constexpr int pred = 4, target = 4;
  template <class V, class T>
  V value(const V* p, const T* t) const {
    const V a = p[0], b = p[1], c = p[2] * p[3];
    V sum = sqrt(1 + a * a) + exp(-abs(a)) + log(1 + b * b) + log1p(c * c) + pow(1 + a * a, T(1.5)) + sin(b) + cos(c);
    sum += atan(a) * tanh(b) - sigmoid(c) / (2 + sin(a)) + T(3) / (1 + exp(b)) + atan2(a - t[0], b - t[1]);
    sum -= min(a, b) * max(b, c);
    sum *= T(0.5);
    return -sum + stop_gradient(a * b) * c;
  }
  static void sample(Random& random, double* p, double* t, int) {
    for (int k = 0; k < 4; ++k) p[k] = random.normal(), t[k] = 4 + random.uniform();
  }
};

TEST(GradientCheck, AgreesWithEveryFunctionOfADual) {
  const GradientPoint worst = worst_gradient(gradient_check(EveryFunction{}), 1);
  EXPECT_LE(worst.error, kGradientTolerance) << worst.describe();
  EXPECT_GE(worst.sample, 0);
}

}  // namespace
}  // namespace telltale
