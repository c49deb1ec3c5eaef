#include "models/inpainter/perceptual_loss.h"

#include "engine/layers/all.h"
#include "kernels/preprocess.h"
#include "nets/nets.h"
#include "weights/family.h"
#include "weights/names.h"
#include "weights/weights_file.h"

namespace telltale {
namespace {

constexpr int kBlocks = 4;
constexpr const char* kNormalise = "normalise";

}  // namespace

PerceptualLoss::PerceptualLoss(Stream& stream, const std::string& weights, const Shape& image, float black,
                               DType compute, double weight) {
  const WeightsFile file = WeightsFile::open(weights);
  const StateDict dict = net_parameters(file.state_dict());
  const StateTensor* first = find(dict, "features.0.weight");
  TT_CHECK(first && first->info.shape.size() == 4 && first->info.shape[1] == 3 && first->info.shape[2] == 3, DataError,
           weights, ": not VGG11's: features.0.weight should be N x 3 x 3 x 3; give torchvision's vgg11");
  Graph g;
  const Value input = g.input(image);
  const Value x = g.add<BatchNorm>(kNormalise, {input}, BatchNorm::Settings{.eps = 0});
  std::vector<FeatureDifference::Feature> features;
  for (Value v : vgg11_features(g, x, kBlocks, double(first->info.shape[0]) / 64)) {
    g.output(v);
    features.push_back({v, weight / kBlocks});
  }
  difference_ = std::make_unique<FeatureDifference>(stream, g, input, std::move(features), compute);
  Program& net = difference_->net();

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
    for (const Param& p : net.params().all()) {
      for (const std::string& name : p.spec.names)
        if (!name.starts_with(layer)) own.push_back(require(dict, name));
    }
    load_params(stream, net.params(), own);
  } catch (const DataError& e) {
    throw DataError(cat(weights, ": not VGG11's: ", e.what()));
  }
  net.params_changed();
}

}  // namespace telltale
