#include "tools/synth/inpainter.h"

#include <algorithm>
#include <cmath>

#include "data/sha256.h"
#include "tools/common/log.h"
#include "weights/names.h"
#include "weights/spectral_norm.h"
#include "weights/weights_file.h"

namespace telltale {
namespace {

/// Channels of the first convolution, from the file.
int width_of(const StateDict& dict, const std::string& path) {
  const StateTensor* first = find(dict, "coarse.0.conv2d.weight");
  TT_CHECK(first && first->info.shape.size() == 4, DataError, path,
           ": has no tensor coarse.0.conv2d.weight, so it is not a DeepFillv2 generator of family csqiangwen");
  return int(first->info.shape[0]);
}

/// Drawn weights shrink what passes through: a gate halves it, layer after layer, until the paint is flat black. A gain
/// that keeps the second moment through elu(x)·sigmoid(g), and a mid-grey start of the output, give it texture.
void enliven(Stream& stream, Params& params) {
  constexpr double kGain = 1.7, kLastGain = 0.2, kGrey = 1;
  for (const Param& p : params.all()) {
    std::vector<double> values = params.read(stream, p);
    const bool is_filter = p.spec.names.at(0).ends_with(".weight");
    const bool is_last = (is_filter ? p.spec.shape.n : p.spec.shape.c) == 6;  // value and gate of three colours
    if (is_filter) {
      for (double& v : values) v *= is_last ? kLastGain : kGain;
    } else if (is_last) {
      std::fill_n(values.begin(), 3, kGrey);
    }
    params.write(stream, p, values);
  }
}

}  // namespace

std::string generator_name(const SynthSettings& s) {
  if (s.random_weights()) return s.weights;
  return sha256_file(s.weights);
}

Inpainter::Inpainter(const SynthSettings& s, int batch, Stream& stream)
    : batch_(batch), size_(s.size), width_(s.width) {
  std::unique_ptr<WeightsFile> file;
  StateDict dict;
  Options options;
  if (s.random_weights()) {
    options.seed = s.weights_seed();
    spdlog::info("the generator is untrained: width {}, weights drawn with seed {}", width_, options.seed);
  } else {
    file = std::make_unique<WeightsFile>(WeightsFile::open(s.weights));
    dict = fold_spectral_norm(without_module_prefix(file->state_dict()), SpectralNorm::folded);
    width_ = width_of(dict, s.weights);
  }
  Graph graph;
  image_ = graph.input({batch, size_, size_, 3});
  mask_ = graph.input({batch, size_, size_, 1});
  net_ = deepfill_v2(graph, image_, mask_, width_);
  program_ = std::make_unique<Program>(graph, stream, options);
  if (!file) {
    enliven(stream, program_->params());
    program_->params_changed();
    return;
  }
  try {
    load_params(stream, program_->params(), dict);
  } catch (const DataError& e) {
    throw DataError(cat(s.weights, ": not a DeepFillv2 generator of family csqiangwen: ", e.what()));
  }
  program_->params_changed();
  spdlog::info("generator {}, width {}", s.weights, width_);
}

std::vector<std::vector<float>> Inpainter::paint(const std::vector<Image>& photos, const std::vector<Grey>& masks) {
  const size_t pixels = size_t(size_) * size_t(size_);
  // Unused places of a short batch stay black and without a hole.
  std::vector<float> image(size_t(batch_) * pixels * 3, 0.0f), mask(size_t(batch_) * pixels, 0.0f);
  for (size_t i = 0; i < photos.size(); ++i) {
    std::transform(photos[i].rgb.begin(), photos[i].rgb.end(), image.begin() + ptrdiff_t(i * pixels * 3),
                   [](uint8_t v) { return float(v) / 255.0f; });
    std::transform(masks[i].pixels.begin(), masks[i].pixels.end(), mask.begin() + ptrdiff_t(i * pixels),
                   [](uint8_t v) { return v ? 1.0f : 0.0f; });
  }
  Stream& stream = program_->stream();
  upload(stream, program_->tensor(image_), image.data());
  upload(stream, program_->tensor(mask_), mask.data());
  program_->forward();
  download(stream, image.data(), program_->tensor(net_.refined));
  std::vector<std::vector<float>> fills;
  for (size_t i = 0; i < photos.size(); ++i) {
    const auto begin = image.begin() + ptrdiff_t(i * pixels * 3);
    fills.emplace_back(begin, begin + ptrdiff_t(pixels * 3));
  }
  return fills;
}

}  // namespace telltale
