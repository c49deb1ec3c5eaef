#include "models/inpainter/feature_difference.h"

#include <algorithm>

#include "kernels/cast.h"
#include "kernels/pointwise.h"
#include "kernels/reduce.h"
#include "losses/loss.h"

namespace telltale {
namespace {

/// A tensor as a batch of single numbers.
Tensor numbers(Tensor t) {
  t.shape = {int(t.shape.numel()), 1, 1, 1};
  return t;
}

}  // namespace

FeatureDifference::FeatureDifference(Stream& stream, Graph net, Value input, std::vector<Feature> features,
                                     DType compute)
    : stream_(&stream), input_(input), features_(std::move(features)) {
  net.freeze("");
  net_ = std::make_unique<Program>(net, stream, Options{.compute = compute, .training = true, .input_gradients = true});
  const DType wide = accumulator_of(compute);
  int most = 0;
  for (const Feature& f : features_) {
    const Shape s = net_->tensor(f.value).shape;
    most = std::max(most, int(s.numel()));
    wanted_.emplace_back(stream.place(), s, wide);
    losses_.push_back(make_loss("absolute_error", {{"weight", f.weight / double(s.numel())}}));
  }
  each_ = OwnedTensor(stream.place(), {most, 1, 1, 1}, wide);
}

void FeatureDifference::eval(Tensor painted, Tensor original, Tensor gradient, Tensor sum, const StepState* state) {
  Stream& s = *stream_;
  const Tensor input = net_->tensor(input_);
  cast(s, original, input);
  net_->forward();
  for (size_t k = 0; k < features_.size(); ++k) cast(s, net_->tensor(features_[k].value), wanted_[k]);
  cast(s, painted, input);
  net_->forward();
  for (size_t k = 0; k < features_.size(); ++k) {
    const Tensor feature = numbers(net_->tensor(features_[k].value));
    Tensor each = each_;
    each.shape.n = feature.shape.n;
    losses_[k]->eval(s, feature, numbers(wanted_[k]), each, numbers(net_->gradient(features_[k].value)), state);
    column_sums(s, each, sum, k ? GradMode::accumulate : GradMode::overwrite);
  }
  net_->backward(/*accumulate=*/false);
  add_gradient(s, net_->gradient(input_), gradient, GradMode::accumulate);
}

size_t FeatureDifference::bytes() const {
  size_t sum = net_->total_bytes() + each_.buffer.size();
  for (const OwnedTensor& t : wanted_) sum += t.buffer.size();
  return sum;
}

}  // namespace telltale
