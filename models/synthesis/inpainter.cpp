#include "models/synthesis/inpainter.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/log.h"
#include "base/sha256.h"
#include "data/mask.h"
#include "kernels/cast.h"
#include "models/device.h"
#include "models/families.h"
#include "models/synthesis/window.h"
#include "weights/names.h"

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

/// Images, masks and corners as numbers of four bytes.
size_t staging_bytes(int batch, int size) {
  return size_t(batch) * (size_t(size) * size_t(size) * 4 + 2) * sizeof(float);
}

}  // namespace

std::string generator_name(const SynthSettings& s) {
  std::string names;
  for (const std::string& weights : s.generators())
    names += (names.empty() ? "" : ",") + (SynthSettings::is_random(weights) ? weights : sha256_file(weights));
  return names;
}

Inpainter::Inpainter(const SynthSettings& s, const std::string& weights, int batch, Stream& stream)
    : stream_(&stream),
      batch_(batch),
      size_(s.size),
      width_(s.width),
      options_{.compute = precision_of(s.precision, stream), .keep_parameters = false},
      staging_(stream.place(), staging_bytes(batch, s.size)),
      upload_(stream, staging_.size()),
      download_(stream, staging_.size()) {
  if (SynthSettings::is_random(weights)) {
    options_.seed = SynthSettings::weights_seed(weights);
    net_ = &generator_net(s.family);
    spdlog::info("the generator is untrained: {}, width {}, weights drawn with seed {}", s.family, width_,
                 options_.seed);
  } else {
    file_ = std::make_unique<WeightsFile>(WeightsFile::open(weights));
    const NetIdentity found = identify_generator(file_->state_dict(), weights);
    TT_CHECK(s.family.empty() || s.family == found.family, UsageError, "--family ", s.family, ": ", weights, " is ",
             found.family);
    net_ = &generator_net(found.family);
    width_ = int(found.width);
    spdlog::info("generator {}: {}, width {}", weights, found.family, width_);
  }
  use(size_);
}

void Inpainter::use(int side) {
  if (side == side_) return;
  stream_->sync();   // nothing of it may still run
  program_.reset();  // never two in memory
  side_ = 0;         // should the next not be built
  Graph graph;
  image_ = graph.input({batch_, size_, size_, 3});
  mask_ = graph.input({batch_, size_, size_, 1});
  HoleWindow window;
  if (side < size_) window = {graph.input({batch_, 1, 1, 2}, DType::i32), side};
  corner_ = window.corner;
  painted_ = net_->build(graph, image_, mask_, width_, window);
  program_ = std::make_unique<Program>(graph, *stream_, options_);
  if (file_) {
    load_params(*stream_, program_->params(), net_parameters(file_->state_dict()));
  } else {
    enliven(*stream_, program_->params(), *net_);
  }
  program_->params_changed();
  forward_ = std::make_unique<Capture>(*stream_);
  side_ = side;
}

Inpainter::Fills Inpainter::enqueue(const std::vector<Image>& photos, const std::vector<Grey>& masks, int side) {
  use(side);
  std::vector<Window> windows;
  windows.reserve(masks.size());
  for (const Grey& mask : masks) windows.push_back(place_window(bounds_of(mask), side, size_));
  const size_t pixels = size_t(size_) * size_t(size_), all = size_t(batch_) * pixels;
  const float black = net_->black, span = 1 - black;
  // Unused places of a short batch stay black and without a hole.
  std::vector<float> sent(staging_.size() / sizeof(float), 0.0f);
  std::fill_n(sent.begin(), all * 3, black);
  for (size_t i = 0; i < photos.size(); ++i) {
    std::transform(photos[i].rgb.begin(), photos[i].rgb.end(), sent.begin() + ptrdiff_t(i * pixels * 3),
                   [&](uint8_t v) { return black + span * (float(v) / 255.0f); });
    std::transform(masks[i].pixels.begin(), masks[i].pixels.end(), sent.begin() + ptrdiff_t(all * 3 + i * pixels),
                   [](uint8_t v) { return v ? 1.0f : 0.0f; });
    const int32_t corner[] = {windows[i].top, windows[i].left};
    std::memcpy(&sent[all * 4 + 2 * i], corner, sizeof corner);
  }
  const auto staged = [&](Value v, DType type, size_t numbers_before) {
    return staging_.view(program_->tensor(v).shape, type, numbers_before * sizeof(float));
  };
  upload_.send(staging_.view({batch_, 1, 1, size_ * size_ * 4 + 2}, DType::f32), sent.data());
  cast(*stream_, staged(image_, DType::f32, 0), program_->tensor(image_));
  cast(*stream_, staged(mask_, DType::f32, all * 3), program_->tensor(mask_));
  if (side < size_) copy(*stream_, program_->tensor(corner_), staged(corner_, DType::i32, all * 4));
  program_->make_ready();
  const Tensor refined = program_->tensor(painted_.refined), result = staging_.view(refined.shape, DType::f32);
  forward_->run([&] {
    program_->forward();
    cast(*stream_, refined, result);
  });
  return [this, windows = std::move(windows), side, pixels, black, span, number = download_.request(result)] {
    const auto* painted = static_cast<const float*>(download_.take(number));
    std::vector<std::vector<float>> fills;
    const size_t line = size_t(side) * 3;
    for (size_t i = 0; i < windows.size(); ++i) {
      fills.emplace_back(pixels * 3, 0.0f);
      for (size_t row = 0; row < size_t(side); ++row) {
        const float* from = painted + (i * size_t(side) + row) * line;
        const size_t to = ((size_t(windows[i].top) + row) * size_t(size_) + size_t(windows[i].left)) * 3;
        std::transform(from, from + line, fills[i].begin() + ptrdiff_t(to),
                       [&](float v) { return (v - black) / span; });
      }
    }
    return fills;
  };
}

Generators::Generators(const SynthSettings& s, Stream& stream)
    : settings_(s), stream_(stream), weights_(s.generators()) {
  for (int k = int(weights_.size()) - 1; k >= 0; --k) {  // the first is used first
    const std::string family = use(k).net().name;
    if (("," + families_ + ",").find("," + family + ",") == std::string::npos)
      families_ = family + (families_.empty() ? "" : ",") + families_;
  }
}

Inpainter& Generators::use(int k) {
  if (k != current_) {
    inpainter_.reset();  // never two in memory
    current_ = -1;       // should the next not be built
    inpainter_ = std::make_unique<Inpainter>(settings_, weights_.at(size_t(k)), settings_.batch, stream_);
    current_ = k;
  }
  return *inpainter_;
}

int Generators::worth() const {
  // A program takes a fraction of a second, and on a GPU its convolutions are timed once more; a group saves some
  // hundredths of a second, or some thousandths.
  constexpr int kCpu = 4, kGpu = 64;
  return stream_.is_cuda() ? kGpu : kCpu;
}

}  // namespace telltale
