#include "models/inpainter/perceptual_loss.h"

#include <algorithm>

#include "engine/layers/all.h"
#include "kernels/cast.h"
#include "kernels/pointwise.h"
#include "kernels/preprocess.h"
#include "kernels/reduce.h"
#include "losses/loss.h"
#include "nets/nets.h"
#include "weights/family.h"
#include "weights/names.h"
#include "weights/weights_file.h"

namespace telltale {
namespace {

constexpr int kBlocks = 4;
constexpr const char* kNormalise = "normalise";

/// A tensor as a batch of single numbers.
Tensor numbers(Tensor t) {
  t.shape = {int(t.shape.numel()), 1, 1, 1};
  return t;
}

}  // namespace

PerceptualLoss::PerceptualLoss(Stream& stream, const std::string& weights, const Shape& image, float black,
                               DType compute, double weight)
    : stream_(&stream) {
  const WeightsFile file = WeightsFile::open(weights);
  const StateDict dict = net_parameters(file.state_dict());
  const StateTensor* first = find(dict, "features.0.weight");
  TT_CHECK(first && first->info.shape.size() == 4 && first->info.shape[1] == 3 && first->info.shape[2] == 3, DataError,
           weights, ": not VGG11's: features.0.weight should be N x 3 x 3 x 3; give torchvision's vgg11");
  Graph g;
  input_ = g.input(image);
  const Value x = g.add<BatchNorm>(kNormalise, {input_}, BatchNorm::Settings{.eps = 0});
  features_ = vgg11_features(g, x, kBlocks, double(first->info.shape[0]) / 64);
  for (Value v : features_) g.output(v);
  g.freeze("");
  net_ = std::make_unique<Program>(g, stream, Options{.compute = compute, .training = true, .input_gradients = true});

  // ImageNet's statistics are of images from 0 to 1.
  const PreprocessArgs imagenet;
  StateDict own;
  std::vector<double> mean, variance;
  for (int c = 0; c < 3; ++c) {
    const double span = 1 - double(black), deviation = span * double(imagenet.std[c]);
    mean.push_back(double(black) + span * double(imagenet.mean[c]));
    variance.push_back(deviation * deviation);
  }
  const std::string layer = kNormalise;
  own.push_back(state_tensor(layer + ".weight", {3}, {1, 1, 1}));
  own.push_back(state_tensor(layer + ".bias", {3}, {0, 0, 0}));
  own.push_back(state_tensor(layer + ".running_mean", {3}, mean));
  own.push_back(state_tensor(layer + ".running_var", {3}, variance));
  own.push_back(state_tensor(layer + ".num_batches_tracked", {}, {0}));
  try {
    for (const Param& p : net_->params().all()) {
      for (const std::string& name : p.spec.names)
        if (!name.starts_with(layer)) own.push_back(require(dict, name));
    }
    load_params(stream, net_->params(), own);
  } catch (const DataError& e) {
    throw DataError(cat(weights, ": not VGG11's: ", e.what()));
  }
  net_->params_changed();

  const Place place = stream.place();
  const DType wide = accumulator_of(compute);
  int most = 0;
  for (Value v : features_) {
    const Shape s = net_->tensor(v).shape;
    most = std::max(most, int(s.numel()));
    wanted_.emplace_back(place, s, wide);
    losses_.push_back(make_loss("absolute_error", {{"weight", weight / kBlocks / double(s.numel())}}));
  }
  each_ = OwnedTensor(place, {most, 1, 1, 1}, wide);
}

void PerceptualLoss::eval(Tensor painted, Tensor original, Tensor gradient, Tensor sum, const StepState* state) {
  Stream& s = *stream_;
  const Tensor input = net_->tensor(input_);
  cast(s, original, input);
  net_->forward();
  for (size_t k = 0; k < features_.size(); ++k) cast(s, net_->tensor(features_[k]), wanted_[k]);
  cast(s, painted, input);
  net_->forward();
  for (size_t k = 0; k < features_.size(); ++k) {
    const Tensor feature = numbers(net_->tensor(features_[k]));
    Tensor each = each_;
    each.shape.n = feature.shape.n;
    losses_[k]->eval(s, feature, numbers(wanted_[k]), each, numbers(net_->gradient(features_[k])), state);
    column_sums(s, each, sum, k ? GradMode::accumulate : GradMode::overwrite);
  }
  net_->backward(/*accumulate=*/false);
  add_gradient(s, net_->gradient(input_), gradient, GradMode::accumulate);
}

size_t PerceptualLoss::bytes() const {
  size_t sum = net_->total_bytes() + each_.buffer.size();
  for (const OwnedTensor& t : wanted_) sum += t.buffer.size();
  return sum;
}

}  // namespace telltale
