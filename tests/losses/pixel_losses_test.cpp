// Losses over pixels: gradients, their definition on small maps, every device, and what accumulated micro-batches need.
#include <functional>
#include <sstream>

#include "kernels/parts/math.h"
#include "losses/audit.h"
#include "losses/pixel_check.h"
#include "losses/pixels.h"
#include "tests/losses/losses_run.h"
#include "tests/values.h"
#include "weights/safetensors.h"

namespace telltale {
namespace {

/// Runs a loss on maps; outputs start as NaN.
Outcome on_maps(const Loss& loss, Stream& s, DType type, Shape map, const Numbers& pred, const Numbers& target,
                const StepState& state) {
  const DType wide = accumulator_of(type);
  const Shape rows{map.n * map.h, 1, 1, loss.terms()};
  const double nan = std::numeric_limits<double>::quiet_NaN();
  OwnedTensor p, t, l, d;
  filled(s, p, map, type, pred);
  filled(s, t, map, wide, target);
  filled(s, l, rows, wide, Numbers(size_t(rows.numel()), nan));
  filled(s, d, map, type, Numbers(pred.size(), nan));
  Buffer on_device(s.place(), sizeof state);
  upload(s, on_device.view({1, 1, 1, int(sizeof state)}, DType::u8), &state);
  loss.eval(s, p, t, l, d, static_cast<const StepState*>(on_device.data()));
  return {read(s, l), read(s, d)};
}

/// A column of the terms, summed: what the trainer tells.
double column(const Loss& loss, const Outcome& o, int term) {
  double sum = 0;
  for (size_t i = size_t(term); i < o.loss.size(); i += size_t(loss.terms())) sum += o.loss[i];
  return sum;
}

constexpr Shape kMap{3, 4, 5, 1};
struct Sample {
  Numbers pred = uniform_values(kMap.numel(), 1, -3, 3), target = uniform_values(kMap.numel(), 2, 0, 1);
  Sample() {  // soft labels, hard ones, and nothing painted
    for (size_t i = 20; i < 40; ++i) target[i] = target[i] < 0.5;
    for (size_t i = 40; i < 60; ++i) target[i] = 0;
  }
  Numbers part(const Numbers& of, int n) const { return {of.begin() + 20 * n, of.begin() + 20 * (n + 1)}; }
};
const StepState kThree{.samples = 3, .positives = 2};

TEST(PixelLosses, GradientsAreTheirValues) {
  ASSERT_GE(pixel_loss_names().size(), 5u);
  for (const std::string& name : pixel_loss_names()) {
    EXPECT_LT(make_pixel_loss(name)->worst_gradient_error(1), 1e-6) << name;
    EXPECT_LT(make_pixel_loss(name, {}, 7)->worst_gradient_error(2), 1e-6) << name << " weighted";
    LossSettings doubled;
    for (const auto& [key, range] : pixel_loss_info(name).settings)
      doubled[key] = std::min(range.high, 2 * range.initial);
    EXPECT_LT(make_pixel_loss(name, doubled)->worst_gradient_error(3), 1e-6) << name << " with other settings";
  }
}

TEST(PixelLosses, PassTheAudit) {
  Stream s = Stream::cpu();
  for (const std::string& name : pixel_loss_names())
    for (const Finding& f : audit_pixels(s, *make_pixel_loss(name)))
      EXPECT_TRUE(f.passed) << name << ": " << name_of(f.mistake) << ": " << f.evidence;
}

/// A gradient that is wrong by a factor would be found, and only that blamed.
TEST(PixelLosses, TheCheckFindsAWrongGradient) {
  class Wrong final : public Loss {
   public:
    std::string name() const override { return "wrong"; }
    int pred_width() const override { return 1; }
    int target_width() const override { return 1; }
    int terms() const override { return loss_->terms(); }
    void eval(Stream& s, Tensor p, Tensor t, Tensor l, Tensor d, const StepState* state) const override {
      StepState scaled = *state;
      scaled.loss_scale *= 1.01f;
      loss_->eval(s, p, t, l, d, &scaled);
    }
    double worst_gradient_error(uint64_t) const override { return 0; }
    std::unique_ptr<Loss> loss_ = make_pixel_loss("bce");
  };
  EXPECT_GT(worst_pixel_gradient_error(Wrong(), 1), 1e-4);
  Stream s = Stream::cpu();
  for (const Finding& f : audit_pixels(s, Wrong()))
    EXPECT_EQ(f.passed, f.mistake != Mistake::wrong_gradient) << name_of(f.mistake) << ": " << f.evidence;
}

TEST(PixelLosses, AreWhatTheyAreDefinedAs) {
  const Sample x;
  Stream s = Stream::cpu();
  const auto cross_entropy = [](double z, double t) {
    const double p = sigmoid(z);
    return -t * std::log(p) - (1 - t) * std::log(1 - p);
  };
  const auto mean_of = [&](const std::function<double(double, double)>& f) {
    double sum = 0;
    for (size_t i = 0; i < x.pred.size(); ++i) sum += f(x.pred[i], x.target[i]) / 60;
    return sum;
  };
  const auto total = [&](const char* name, const LossSettings& settings) {
    const auto loss = make_pixel_loss(name, settings);
    return column(*loss, on_maps(*loss, s, DType::f64, kMap, x.pred, x.target, kThree), PixelTerms::total);
  };
  EXPECT_NEAR(total("bce", {}), mean_of(cross_entropy), 1e-12);
  EXPECT_NEAR(total("bce", {{"positive", 4}}), mean_of([&](double z, double t) {
                const double p = sigmoid(z);
                return -4 * t * std::log(p) - (1 - t) * std::log(1 - p);
              }),
              1e-12);
  EXPECT_NEAR(total("focal", {{"gamma", 1.5}, {"balance", 0.3}}), mean_of([&](double z, double t) {
                const double p = sigmoid(z), missed = t * (1 - p) + (1 - t) * p;
                return (0.3 * t + 0.7 * (1 - t)) * std::pow(missed, 1.5) * cross_entropy(z, t);
              }),
              1e-12);
  double dice = 0;
  for (int n = 0; n < 3; ++n) {
    const Numbers z = x.part(x.pred, n), t = x.part(x.target, n);
    double both = 0, p = 0, is = 0;
    for (size_t i = 0; i < z.size(); ++i) both += sigmoid(z[i]) * t[i], p += sigmoid(z[i]), is += t[i];
    dice += (1 - (2 * both + 0.5) / (p + is + 0.5)) / 3;
  }
  EXPECT_NEAR(total("dice", {{"smooth", 0.5}, {"bce", 0}}), dice, 1e-12);
  EXPECT_NEAR(total("dice", {{"smooth", 0.5}, {"bce", 2}}), dice + 2 * mean_of(cross_entropy), 1e-12);
}

TEST(PixelLosses, EqualPyTorch) {
  const Safetensors file = Safetensors::open(TT_SOURCE_DIR "/tests/golden/pixel_losses.safetensors");
  const std::vector<int64_t> side = file.info("pred").shape;
  const Shape map{1, int(side.at(0)), int(side.at(1)), 1};
  const Numbers pred = file.read_f64("pred"), target = file.read_f64("target"), values = file.read_f64("expect.loss"),
                gradients = file.read_f64("expect.grad");
  Stream s = Stream::cpu();
  std::istringstream names(file.metadata().at("losses"));
  std::vector<std::string> seen;
  for (std::string name; names >> name; seen.push_back(name)) {
    SCOPED_TRACE(name);
    const auto loss = make_pixel_loss(name);
    const Outcome got = on_maps(*loss, s, DType::f64, map, pred, target, {.samples = 1});
    const auto of_loss = gradients.begin() + std::ptrdiff_t(seen.size() * pred.size());
    expect_near({column(*loss, got, PixelTerms::total)}, {values.at(seen.size())}, 2e-7);  // they are rounded to f32
    expect_near(got.gradient, Numbers(of_loss, of_loss + std::ptrdiff_t(pred.size())), 2e-7);
  }
  EXPECT_EQ(seen, pixel_loss_names());
}

/// By its definition: of every subset of pixels whose errors are above a level, the Jaccard distance, integrated over
/// levels. Equal errors, an error of exactly 0 and a map without painted pixels are among these.
TEST(PixelLosses, LovaszIsTheIntegralOfJaccardDistances) {
  Stream s = Stream::cpu();
  const auto loss = make_pixel_loss("lovasz");
  for (uint64_t seed = 0; seed < 40; ++seed) {
    Numbers z = uniform_values(12, 2 * seed, -3, 3), t = uniform_values(12, 2 * seed + 1, 0, 1);
    for (size_t i = 0; i < z.size(); ++i) {
      if (seed % 2) z[i] = std::round(z[i]);
      t[i] = seed % 8 < 2 ? 0 : t[i] < 0.5;
    }
    Numbers errors(z.size()), levels = {0};
    for (size_t i = 0; i < z.size(); ++i) {
      errors[i] = 1 - z[i] * (t[i] > 0 ? 1 : -1);
      if (errors[i] > 0) levels.push_back(errors[i]);
    }
    std::sort(levels.begin(), levels.end());
    double integral = 0;
    for (size_t l = 1; l < levels.size(); ++l) {
      double both = 0, either = 0;  // of the truth and of what it would be were these pixels called wrong
      for (size_t i = 0; i < z.size(); ++i) {
        const bool wrong = errors[i] >= levels[l], is = t[i] > 0;
        both += is && !wrong;
        either += is || wrong;
      }
      integral += (levels[l] - levels[l - 1]) * (1 - both / either);
    }
    const Outcome got = on_maps(*loss, s, DType::f64, {1, 3, 4, 1}, z, t, {.samples = 1});
    EXPECT_NEAR(column(*loss, got, PixelTerms::total), integral, 1e-12) << seed;
  }
}

/// A square of 2 × 2 in the corner of 8 × 8: next to its border 1 + strength·e^(−1/2) at sigma 1, and 1 beyond 3
/// pixels.
TEST(PixelLosses, BoundaryWeighsByDistance) {
  Stream s = Stream::cpu();
  const auto loss = make_pixel_loss("boundary", {{"strength", 4}, {"sigma", 1}});
  Numbers label(64, 0);
  for (const size_t i : {0, 1, 8, 9}) label[i] = 1;
  const Outcome got = on_maps(*loss, s, DType::f64, {1, 8, 8, 1}, Numbers(64, 0), label, {.samples = 1});
  const auto weight = [&](size_t y, size_t x) { return std::abs(got.gradient[8 * y + x]) * 64 / 0.5; };
  const auto at = [](double square) { return 1 + 4 * std::exp(-square / 2); };
  EXPECT_NEAR(weight(0, 0), at(4), 1e-12);
  EXPECT_NEAR(weight(1, 1), at(1), 1e-12);
  EXPECT_NEAR(weight(0, 2), at(1), 1e-12);
  EXPECT_NEAR(weight(2, 2), at(2), 1e-12);
  EXPECT_NEAR(weight(3, 3), at(8), 1e-12);
  EXPECT_NEAR(weight(0, 4), at(9), 1e-12);
  EXPECT_NEAR(weight(4, 3), 1, 1e-12);
  EXPECT_NEAR(weight(7, 7), 1, 1e-12);
}

TEST(PixelLosses, TermsCountWhatIsCalledPainted) {
  const Sample x;
  Stream s = Stream::cpu();
  double correct = 0, overlap = 0;
  for (int n = 0; n < 3; ++n) {
    const Numbers z = x.part(x.pred, n), t = x.part(x.target, n);
    double both = 0, either = 0;
    for (size_t i = 0; i < z.size(); ++i) {
      const bool called = z[i] >= 0, is = t[i] >= 0.5;
      correct += (called == is) / 20.0;
      both += called && is;
      either += called || is;
    }
    overlap += both / either;
  }
  for (const std::string& name : pixel_loss_names()) {
    const auto loss = make_pixel_loss(name);
    const Outcome o = on_maps(*loss, s, DType::f64, kMap, x.pred, x.target, kThree);
    EXPECT_NEAR(column(*loss, o, PixelTerms::correct), correct, 1e-12) << name;
    EXPECT_NEAR(column(*loss, o, PixelTerms::iou), overlap, 1e-12) << name;
  }
}

TEST(PixelLosses, MicroBatchesAddUpAndTheScaleScalesGradientsAlone) {
  const Sample x;
  Stream s = Stream::cpu();
  for (const std::string& name : pixel_loss_names()) {
    const auto loss = make_pixel_loss(name);
    const Outcome whole = on_maps(*loss, s, DType::f64, kMap, x.pred, x.target, kThree);
    Numbers terms, gradient;
    for (int n = 0; n < 3; ++n) {
      const Outcome one = on_maps(*loss, s, DType::f64, {1, 4, 5, 1}, x.part(x.pred, n), x.part(x.target, n), kThree);
      terms.insert(terms.end(), one.loss.begin(), one.loss.end());
      gradient.insert(gradient.end(), one.gradient.begin(), one.gradient.end());
    }
    EXPECT_EQ(whole.loss, terms) << name;
    EXPECT_EQ(whole.gradient, gradient) << name;
    StepState scaled = kThree;
    scaled.loss_scale = 1024;
    const Outcome large = on_maps(*loss, s, DType::f64, kMap, x.pred, x.target, scaled);
    EXPECT_EQ(large.loss, whole.loss) << name;
    for (double& g : gradient) g *= 1024;
    expect_near(large.gradient, gradient, 1e-12);
  }
}

TEST(PixelLosses, FarOutLogitsStayFinite) {
  Stream s = Stream::cpu();
  for (const std::string& name : pixel_loss_names())
    for (const double z : {0.0, 80.0, -80.0, 1e4, -1e4})
      for (const double t : {0.0, 1.0}) {
        const auto loss = make_pixel_loss(name);
        const Outcome o = on_maps(*loss, s, DType::f32, {1, 2, 3, 1}, Numbers(6, z), Numbers(6, t), {.samples = 1});
        for (const Numbers* numbers : {&o.loss, &o.gradient})
          for (const double v : *numbers) EXPECT_TRUE(std::isfinite(v)) << name << " at " << z << ", " << t;
      }
}

TEST(PixelLosses, MistakesAreNamed) {
  Stream s = Stream::cpu();
  EXPECT_THROW(make_pixel_loss("l0"), UsageError);
  EXPECT_THROW(make_pixel_loss("bce", {{"gamma", 1}}), UsageError);
  EXPECT_THROW(make_pixel_loss("focal", {{"balance", 2}}), UsageError);
  const auto loss = make_pixel_loss("bce");
  OwnedTensor map(s.place(), kMap, DType::f32), rows(s.place(), {12, 1, 1, loss->terms()}, DType::f32),
      few(s.place(), {3, 1, 1, loss->terms()}, DType::f32);
  const StepState state;
  EXPECT_NO_THROW(loss->eval(s, map, map, rows, map, &state));
  EXPECT_THROW(loss->eval(s, map, map, few, map, &state), ShapeError);
  EXPECT_THROW(loss->eval(s, map, rows, rows, map, &state), ShapeError);
  EXPECT_THROW(loss->eval(s, map, map, rows, map, nullptr), ShapeError);
}

class PixelLossesOnDevice : public OnDevice {};
INSTANTIATE_TEST_SUITE_P(Devices, PixelLossesOnDevice, device_bodies(), device_label);

TEST_P(PixelLossesOnDevice, AgreesWithTheCpu) {
  const Sample x;
  Stream cpu = Stream::cpu(), device = stream();
  for (const std::string& name : pixel_loss_names())
    for (const auto& [type, tolerance] :
         {std::pair{DType::f64, 1e-12}, {DType::f32, 1e-5}, {DType::bf16, 1e-2}, {DType::f16, 2e-3}}) {
      const auto loss = make_pixel_loss(name);
      const Outcome wanted = on_maps(*loss, cpu, type, kMap, x.pred, x.target, kThree);
      const Outcome got = on_maps(*loss, device, type, kMap, x.pred, x.target, kThree);
      expect_near(got.loss, wanted.loss, tolerance);
      expect_near(got.gradient, wanted.gradient, tolerance);
    }
}

}  // namespace
}  // namespace telltale
