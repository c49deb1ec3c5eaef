#include "models/inpainter/model.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <numbers>

#include "engine/layers/all.h"
#include "kernels/cast.h"
#include "kernels/concat.h"
#include "kernels/device/host_values.h"
#include "kernels/reduce.h"
#include "losses/loss.h"
#include "models/device.h"
#include "models/training/finite.h"

namespace telltale {
namespace {

const Adam kAdam(0.5, 0.999);  // as DeepFillv2

/// A tensor as a batch of single numbers.
Tensor numbers(Tensor t) {
  t.shape = {int(t.shape.numel()), 1, 1, 1};
  return t;
}

/// Half of a batch.
Tensor half(Tensor t, int which) {
  t.shape.n /= 2;
  t.data = static_cast<char*>(t.data) + (which ? t.bytes() : 0);
  return t;
}

}  // namespace

InpaintModel::InpaintModel(Stream& stream, const InpaintRecipe& recipe, uint64_t seed, Ranks& ranks,
                           const GradientExchange& exchange)
    : stream_(&stream), recipe_(recipe), ranks_(&ranks), of_passes_(size_t(recipe.batch / recipe.micro_batch)) {
  build_generator(seed);
  if (recipe.adversarial_weight > 0) build_discriminator(seed);
  // Statistics of spectral norms are moved by a step, however many passes it has.
  generator_rounds_.emplace(ranks, *generator_, exchange, /*synced=*/true);
  if (discriminator_) discriminator_rounds_.emplace(ranks, *discriminator_, exchange, /*synced=*/true);
  const Place place = stream.place();
  const DType wide = accumulator_of(generator_->options().compute);
  const Shape image = generator_->tensor(net_.refined).shape;
  target_ = OwnedTensor(place, image, wide);
  int most = int(image.numel());
  if (discriminator_) most = std::max(most, int(discriminator_->tensor(trained_scores_).shape.numel()));
  losses_ = OwnedTensor(place, {most, 1, 1, 1}, wide);
  sums_ = OwnedTensor(place, {1, 1, 1, kSums}, wide);
  state_ = OwnedTensor(place, {1, 1, 1, int(sizeof(StepState))}, DType::u8);
  const StepState neutral;
  upload(stream, state_, &neutral);
}

void InpaintModel::build_generator(uint64_t seed) {
  const int n = recipe_.micro_batch, s = recipe_.size;
  Graph g;
  image_ = g.input({n, s, s, 3});
  mask_ = g.input({n, s, s, 1});
  const GeneratorNet& family = generator_net(recipe_.family);
  net_ = family.build(g, image_, mask_, recipe_.width);
  if (recipe_.trained == "refined") g.freeze_up_to(net_.coarse);
  complete_ = g.add<Blend>("complete", {image_, net_.refined, mask_});
  judged_ = g.add<Concat>("judged", {complete_, mask_});
  for (Value v : {complete_, judged_}) g.output(v);
  const DType compute = precision_of(recipe_.precision, *stream_);
  generator_ = std::make_unique<Program>(g, *stream_, Options{.compute = compute, .training = true, .seed = seed});
  scale_filters();
  const double values = double(recipe_.batch) * s * s * 3 * (1 - family.black), share = double(n) / recipe_.batch;
  l1_ = make_loss("absolute_error", {{"weight", recipe_.l1_weight / values}});
  hole_l1_ = make_loss("absolute_error", {{"weight", recipe_.hole_weight / values}});
  if (recipe_.perceptual_weight > 0) {
    perceptual_ = std::make_unique<PerceptualLoss>(*stream_, recipe_.perceptual_net, Shape{n, s, s, 3}, family.black,
                                                   compute, recipe_.perceptual_weight * share);
  }
  if (recipe_.texture_weight > 0) {
    texture_ = std::make_unique<TextureLoss>(*stream_, Shape{n, s, s, 3}, family.black, compute,
                                             recipe_.texture_weight * share);
  }
  if (recipe_.trained == "refined") unused_ = OwnedTensor(stream_->place(), {n, s, s, 3}, compute);
}

/// A gate halves what passes at first. Filters √2 larger keep its second moment through seventeen of them. Not in
/// GatedConv's own draw, because synth's random:SEED, whose datasets must repeat, rests on that one.
void InpaintModel::scale_filters() {
  for (const Param& p : generator_->params().all()) {
    if (!p.spec.names[0].ends_with(".weight")) continue;
    // The one convolution without a gate, drawn for its three outputs, would begin where tanh is flat.
    const double fan = double(p.spec.shape.n) / p.spec.shape.c,
                 gain = p.spec.shape.n == 3 ? std::sqrt(fan) : std::numbers::sqrt2;
    std::vector<double> filter = generator_->params().read(*stream_, p);
    for (double& v : filter) v *= gain;
    generator_->params().write(*stream_, p, filter);
  }
}

void InpaintModel::build_discriminator(uint64_t seed) {
  const int n = recipe_.micro_batch, s = recipe_.size;
  const Options options{.compute = generator_->options().compute, .training = true, .seed = seed};
  const PatchGanSettings adversary{
      .width = recipe_.adversary_width, .layers = recipe_.adversary_layers, .grain = recipe_.adversary_grain};
  Graph trained;
  trained_input_ = trained.input({2 * n, s, s, 4});
  trained_scores_ = patch_gan(trained, trained_input_, adversary);
  discriminator_ = std::make_unique<Program>(trained, *stream_, options);

  Graph judge;
  judge_input_ = judge.input({n, s, s, 4});
  judge_scores_ = patch_gan(judge, judge_input_, adversary);
  judge.freeze("");
  Options constant = options;
  constant.input_gradients = true;
  judge_ = std::make_unique<Program>(judge, *stream_, constant);
  if (adversary.grain > 0) {
    for (Program* p : {discriminator_.get(), judge_.get()}) {
      p->params().write(*stream_, *p->params().find(cat(kPatchGanGrain, ".weight")), patch_gan_grain(adversary.grain));
    }
  }

  const int64_t patches = judge_->tensor(judge_scores_).shape.numel();
  const double all = double(patches) / n * recipe_.batch;
  hinge_ = make_loss("hinge", {{"weight", 1.0 / all}});
  critic_ = make_loss("critic", {{"weight", recipe_.adversarial_weight / all}});
  const DType wide = accumulator_of(options.compute);
  std::vector<double> signs(size_t(2 * patches), 1.0);
  ones_ = OwnedTensor(stream_->place(), {int(patches), 1, 1, 1}, wide);
  set_values(*stream_, ones_, {signs.begin(), signs.begin() + patches});
  std::fill(signs.begin() + patches, signs.end(), -1.0);
  signs_ = OwnedTensor(stream_->place(), {int(2 * patches), 1, 1, 1}, wide);
  set_values(*stream_, signs_, signs);
}

void InpaintModel::loss(const Loss& loss, Tensor pred, Tensor target, Tensor gradient, Sum sum,
                        const StepState* state) {
  const int n = int(pred.shape.numel());
  Tensor each = losses_.tensor;
  each.shape.n = n;
  loss.eval(*stream_, numbers(pred), numbers(target), each, numbers(gradient), state);
  column_sums(*stream_, each, sum_of(sum));
}

Tensor InpaintModel::sum_of(Sum sum) const {
  const size_t at = size_t(sum) * size_of(sums_.tensor.dtype);
  return {static_cast<char*>(sums_.tensor.data) + at, {1, 1, 1, 1}, sums_.tensor.dtype};
}

void InpaintModel::paint(const PaintBatch& batch, int pass) {
  Program& g = *generator_;
  const auto n = size_t(recipe_.micro_batch), pixels = size_t(recipe_.size) * size_t(recipe_.size);
  const float* mask = batch.masks.data() + size_t(pass) * n * pixels;
  upload(*stream_, target_, batch.images.data() + size_t(pass) * n * pixels * 3);
  cast(*stream_, target_, g.tensor(image_));
  set_values(*stream_, g.tensor(mask_), {mask, mask + n * pixels});
  g.forward();
}

void InpaintModel::passes(RankedPasses& rounds, const std::function<void(int, bool)>& run) {
  const int all = int(of_passes_.size()), together = ranks_->size();
  for (int first = 0; first < all; first += together) {
    rounds.begin_round(std::min(together, all - first), first + together >= all);
    if (const int pass = first + ranks_->rank(); pass < all)
      rounds.pass([&] { run(pass, rounds.add_in_backward() && pass > 0); });
    rounds.end_round();
    rounds.end_step(0);
    rounds.await(0);  // the host waits for the pass's losses anyway
  }
}

void InpaintModel::keep_sums(int pass) {
  std::vector<double>& kept = of_passes_[size_t(pass)];
  const std::vector<double> more = values_of(*stream_, sums_);
  if (kept.empty()) kept.assign(more.size(), 0.0);
  for (size_t k = 0; k < more.size(); ++k) kept[k] += more[k];
  fill_zero(*stream_, sums_);
}

InpaintLosses InpaintModel::step(const PaintBatch& batch, int64_t step, int64_t adversary_step, double lr_share,
                                 bool adversarial) {
  Stream& s = *stream_;
  Program& g = *generator_;
  fill_zero(s, sums_);
  for (std::vector<double>& kept : of_passes_) kept.clear();
  const bool once = int(of_passes_.size()) <= ranks_->size();  // what is painted stays where it is
  g.set_state({.step = step, .lr = float(recipe_.lr * lr_share)});
  if (adversarial) train_discriminator(batch, adversary_step, lr_share);
  passes(*generator_rounds_, [&](int pass, bool accumulate) {
    if (!once || !adversarial) paint(batch, pass);
    judge_generator(adversarial, accumulate);
    keep_sums(pass);
  });
  g.update(kAdam);
  if (!s.is_cuda()) require_finite(g, cat("at step ", step));

  const std::vector<double> sums = sums_of_all();
  const auto unweighted = [&](Sum sum, double weight) { return weight > 0 ? sums[sum] / weight : 0.0; };
  return {.coarse_l1 = unweighted(kCoarse, recipe_.l1_weight),
          .refined_l1 = unweighted(kRefined, recipe_.l1_weight),
          .hole_l1 = unweighted(kHole, recipe_.hole_weight),
          .real_hinge = sums[kReal],
          .fake_hinge = sums[kFake],
          .judgement = unweighted(kJudgement, recipe_.adversarial_weight),
          .perceptual = unweighted(kPerceptual, recipe_.perceptual_weight),
          .texture = unweighted(kTexture, recipe_.texture_weight)};
}

std::vector<double> InpaintModel::sums_of_all() const {
  std::vector<std::vector<double>> all = of_passes_;
  if (!ranks_->alone()) {
    const auto together = size_t(ranks_->size());
    std::string mine;
    for (const std::vector<double>& one : all)
      mine.append(reinterpret_cast<const char*>(one.data()), one.size() * sizeof(double));
    const std::vector<std::string> told = ranks_->gather(mine);
    for (size_t pass = 0; pass < all.size(); ++pass) {
      all[pass].resize(kSums);
      std::memcpy(all[pass].data(), told[pass % together].data() + pass / together * kSums * sizeof(double),
                  kSums * sizeof(double));
    }
  }
  std::vector<double> sums = all[0];
  for (size_t pass = 1; pass < all.size(); ++pass)
    for (size_t k = 0; k < sums.size(); ++k) sums[k] += all[pass][k];
  return sums;
}

void InpaintModel::judge_generator(bool adversarial, bool accumulate) {
  Stream& s = *stream_;
  Program& g = *generator_;
  const auto* state = state_.tensor.as<const StepState>();
  const Tensor coarse_gradient = recipe_.trained == "refined" ? unused_.tensor : g.gradient(net_.coarse);
  loss(*l1_, g.tensor(net_.coarse), target_, coarse_gradient, kCoarse, state);
  loss(*l1_, g.tensor(net_.refined), target_, g.gradient(net_.refined), kRefined, state);
  if (recipe_.hole_weight > 0) {
    loss(*hole_l1_, g.tensor(complete_), target_, g.gradient(complete_), kHole, state);
  } else {
    fill_zero(s, g.gradient(complete_));
  }
  if (perceptual_) {
    perceptual_->eval(g.tensor(complete_), g.tensor(image_), g.gradient(complete_), sum_of(kPerceptual), state);
  }
  if (texture_) texture_->eval(g.tensor(complete_), g.tensor(image_), g.gradient(complete_), sum_of(kTexture), state);
  if (adversarial) {
    Program& judge = *judge_;
    copy(s, judge.tensor(judge_input_), g.tensor(judged_));
    judge.forward();
    loss(*critic_, judge.tensor(judge_scores_), ones_, judge.gradient(judge_scores_), kJudgement, state);
    judge.backward(/*accumulate=*/false);
    copy(s, g.gradient(judged_), judge.gradient(judge_input_));
  } else {
    fill_zero(s, g.gradient(judged_));
  }
  g.backward(accumulate);
}

void InpaintModel::train_discriminator(const PaintBatch& batch, int64_t step, double lr_share) {
  Stream& s = *stream_;
  Program &g = *generator_, &d = *discriminator_;
  const Tensor input = d.tensor(trained_input_), scores = d.tensor(trained_scores_);
  const Tensor gradients = d.gradient(trained_scores_);
  d.set_state({.step = step, .lr = float((recipe_.adversary_lr > 0 ? recipe_.adversary_lr : recipe_.lr) * lr_share)});
  const auto* state = state_.tensor.as<const StepState>();
  const Tensor signs = signs_.tensor;
  // Every pass iterates the spectral norms from where the step began, so that the step iterates them once.
  std::vector<std::pair<const Param*, std::vector<double>>> before;
  if (of_passes_.size() > 1)
    for (const Param& p : d.params().all())
      if (!p.spec.trainable) before.emplace_back(&p, d.params().read(s, p));
  passes(*discriminator_rounds_, [&](int pass, bool accumulate) {
    for (const auto& [param, values] : before) d.params().write(s, *param, values);
    paint(batch, pass);
    const std::array<Tensor, 2> real = {g.tensor(image_), g.tensor(mask_)};
    concat_forward(s, real, half(input, 0));
    copy(s, half(input, 1), g.tensor(judged_));
    d.forward();
    loss(*hinge_, half(scores, 0), half(signs, 0), half(gradients, 0), kReal, state);
    loss(*hinge_, half(scores, 1), half(signs, 1), half(gradients, 1), kFake, state);
    d.backward(accumulate);
    if (int(of_passes_.size()) > ranks_->size()) keep_sums(pass);  // else they wait for the generator's
  });
  d.update(kAdam);
  if (!s.is_cuda()) require_finite(d, cat("of the discriminator at step ", step));
  judge_->params().copy_from(s, d.params());
  judge_->params_changed();
}

size_t InpaintModel::bytes() const {
  size_t sum = losses_.buffer.size() + target_.buffer.size();
  for (const auto* p : {&generator_, &discriminator_, &judge_}) sum += *p ? (*p)->total_bytes() : 0;
  return sum + (perceptual_ ? perceptual_->bytes() : 0) + (texture_ ? texture_->bytes() : 0);
}

}  // namespace telltale
