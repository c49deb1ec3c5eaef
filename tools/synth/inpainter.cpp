#include "tools/synth/inpainter.h"

#include <algorithm>
#include <cmath>

#include "data/sha256.h"
#include "kernels/cast.h"
#include "tools/common/device.h"
#include "tools/common/families.h"
#include "tools/common/log.h"
#include "weights/names.h"
#include "weights/weights_file.h"

namespace telltale {
namespace {

/// Drawn weights shrink what passes through: a gate halves it, layer after layer, until the paint is flat. A gain that
/// keeps the second moment through elu(x)·sigmoid(g), and a mid-grey start of the output, give it texture.
void enliven(Stream& stream, Params& params, const GeneratorNet& net) {
  constexpr double kGain = 1.7, kLastGain = 0.2;
  const double grey = net.black == 0 ? 1 : 0;  // with black at 0 the last layer's gate halves it
  for (const Param& p : params.all()) {
    const std::string& name = p.spec.names.at(0);
    std::vector<double> values = params.read(stream, p);
    const bool is_last = std::any_of(net.to_rgb.begin(), net.to_rgb.end(),
                                     [&](const std::string& layer) { return name.starts_with(layer + "."); });
    if (name.ends_with(".weight")) {
      for (double& v : values) v *= is_last ? kLastGain : kGain;
    } else if (is_last) {
      std::fill_n(values.begin(), 3, grey);
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
    : batch_(batch), size_(s.size), width_(s.width), staging_(stream.place(), {batch, s.size, s.size, 3}, DType::f32) {
  std::unique_ptr<WeightsFile> file;
  Options options{.compute = precision_of(s.precision, stream)};
  if (s.random_weights()) {
    options.seed = s.weights_seed();
    net_ = &generator_net(s.family);
    spdlog::info("the generator is untrained: {}, width {}, weights drawn with seed {}", s.family, width_,
                 options.seed);
  } else {
    file = std::make_unique<WeightsFile>(WeightsFile::open(s.weights));
    const NetIdentity found = identify_generator(file->state_dict(), s.weights);
    TT_CHECK(s.family.empty() || s.family == found.family, UsageError, "--family ", s.family, ": ", s.weights, " is ",
             found.family);
    net_ = &generator_net(found.family);
    width_ = int(found.width);
    spdlog::info("generator {}: {}, width {}", s.weights, found.family, width_);
  }
  Graph graph;
  image_ = graph.input({batch, size_, size_, 3});
  mask_ = graph.input({batch, size_, size_, 1});
  painted_ = net_->build(graph, image_, mask_, width_);
  program_ = std::make_unique<Program>(graph, stream, options);
  if (file) {
    load_params(stream, program_->params(), net_parameters(file->state_dict()));
  } else {
    enliven(stream, program_->params(), *net_);
  }
  program_->params_changed();
  forward_ = std::make_unique<Capture>(stream);
}

std::vector<std::vector<float>> Inpainter::paint(const std::vector<Image>& photos, const std::vector<Grey>& masks) {
  const size_t pixels = size_t(size_) * size_t(size_);
  const float black = net_->black, span = 1 - black;
  // Unused places of a short batch stay black and without a hole.
  std::vector<float> image(size_t(batch_) * pixels * 3, black), mask(size_t(batch_) * pixels, 0.0f);
  for (size_t i = 0; i < photos.size(); ++i) {
    std::transform(photos[i].rgb.begin(), photos[i].rgb.end(), image.begin() + ptrdiff_t(i * pixels * 3),
                   [&](uint8_t v) { return black + span * (float(v) / 255.0f); });
    std::transform(masks[i].pixels.begin(), masks[i].pixels.end(), mask.begin() + ptrdiff_t(i * pixels),
                   [](uint8_t v) { return v ? 1.0f : 0.0f; });
  }
  Stream& stream = program_->stream();
  const auto send = [&](Value to, const std::vector<float>& from) {
    const Tensor f32 = staging_.buffer.view(program_->tensor(to).shape, DType::f32);
    upload(stream, f32, from.data());
    cast(stream, f32, program_->tensor(to));
  };
  send(image_, image);
  send(mask_, mask);
  program_->make_ready();
  forward_->run([&] {
    program_->forward();
    cast(stream, program_->tensor(painted_.refined), staging_);
  });
  download(stream, image.data(), staging_);
  for (float& v : image) v = (v - black) / span;
  std::vector<std::vector<float>> fills;
  for (size_t i = 0; i < photos.size(); ++i) {
    const auto begin = image.begin() + ptrdiff_t(i * pixels * 3);
    fills.emplace_back(begin, begin + ptrdiff_t(pixels * 3));
  }
  return fills;
}

}  // namespace telltale
