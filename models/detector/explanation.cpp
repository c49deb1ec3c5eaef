#include "models/detector/explanation.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"
#include "data/draw.h"
#include "engine/layers/pool.h"
#include "kernels/device/host_values.h"

namespace telltale {
namespace {

/// Adds a layer of another graph to this one; `values`: what that graph's values are here.
void replay(Graph& g, const Graph::Node& node, std::vector<Value>& values) {
  const auto here = [&](size_t k) { return values[size_t(node.x[k].id)]; };
  TT_CHECK(node.x.size() == 1 || node.x.size() == 2, ShapeError, node.layer->name, ": takes ", node.x.size(),
           " values, and a detector's layers one or two");
  values[size_t(node.y.id)] = node.x.size() == 1 ? g.add(node.layer->name, node.layer->clone(), {here(0)})
                                                 : g.add(node.layer->name, node.layer->clone(), {here(0), here(1)});
}

/// The index of the node that makes a detector's last features: what its adaptive pooling takes, before any pooling.
size_t features_node(const Graph& g) {
  const auto& nodes = g.nodes();
  const auto makes = [&](Value v) {
    const auto node = std::find_if(nodes.begin(), nodes.end(), [&](const auto& n) { return n.y.id == v.id; });
    return size_t(node - nodes.begin());
  };
  for (const Graph::Node& node : nodes) {
    if (!dynamic_cast<const AdaptiveAvgPool*>(node.layer.get())) continue;
    size_t at = makes(node.x[0]);
    while (at < nodes.size() && dynamic_cast<const MaxPool*>(nodes[at].layer.get())) at = makes(nodes[at].x[0]);
    if (at < nodes.size()) return at;
  }
  throw ShapeError("a net without adaptive pooling behind its features has no such map");
}

}  // namespace

float HeatMap::at(int x, int y, int picture_width, int picture_height) const {
  struct Between {
    int low, high;
    float share;  ///< of the higher one
  };
  const auto between = [](int pixel, int pixels, int cells) {
    const float at = std::clamp((float(pixel) + 0.5f) * float(cells) / float(pixels) - 0.5f, 0.0f, float(cells - 1));
    const int low = int(at);
    return Between{low, std::min(low + 1, cells - 1), at - float(low)};
  };
  const Between u = between(x, picture_width, width), v = between(y, picture_height, height);
  const auto row = [&](int line) {
    const float* cells = values.data() + size_t(line) * size_t(width);
    return cells[u.low] + u.share * (cells[u.high] - cells[u.low]);
  };
  const float upper = row(v.low);
  return upper + v.share * (row(v.high) - upper);
}

HeatMap grad_cam(std::span<const double> features, std::span<const double> gradients, int width, int height) {
  const size_t cells = size_t(width) * size_t(height), channels = cells ? features.size() / cells : 0;
  TT_CHECK(channels > 0 && features.size() == cells * channels && gradients.size() == features.size(), ShapeError,
           "features of ", features.size(), " numbers and gradients of ", gradients.size(), " for ", width, "x", height,
           " cells");
  std::vector<double> weights(channels, 0.0);
  for (size_t i = 0; i < gradients.size(); ++i) weights[i % channels] += gradients[i] / double(cells);
  HeatMap map{width, height, std::vector<float>(cells, 0.0f)};
  std::vector<double> sums(cells, 0.0);
  double highest = 0;
  for (size_t cell = 0; cell < cells; ++cell) {
    for (size_t c = 0; c < channels; ++c) sums[cell] += weights[c] * features[cell * channels + c];
    TT_CHECK(std::isfinite(sums[cell]), DataError, "the map of where the net looked holds ", sums[cell],
             ": its weights are broken");
    highest = std::max(highest, sums[cell]);
  }
  for (size_t cell = 0; cell < cells && highest > 0; ++cell)
    map.values[cell] = float(std::max(sums[cell], 0.0) / highest);
  return map;
}

Explainer::Explainer(Detector& detector, Stream& stream) : stream_(&stream) {
  const PictureGraph whole = detector_graph(detector.info(), detector.batch(), detector.image_size(), /*dropout=*/0);
  const auto& nodes = whole.graph.nodes();
  const size_t last = features_node(whole.graph);
  const Options& options = detector.program().options();

  PictureGraph body;
  std::vector<Value> values(size_t(whole.graph.value_count()));
  for (const Graph::Input& in : whole.graph.inputs())
    values[size_t(in.value.id)] = body.graph.input(in.shape, in.dtype);
  body.pixels = values[size_t(whole.pixels.id)];
  body.flip = values[size_t(whole.flip.id)];
  for (size_t i = 0; i <= last; ++i) replay(body.graph, nodes[i], values);
  body.heads = {values[size_t(nodes[last].y.id)]};
  features_.emplace(std::move(body), stream, options);
  shape_ = features_->program().tensor(features_->head(0)).shape;

  Graph head;
  in_ = values[size_t(nodes[last].y.id)] = head.input(shape_);
  for (size_t i = last + 1; i < nodes.size(); ++i) replay(head, nodes[i], values);
  out_ = values[size_t(whole.heads[0].id)];
  head.freeze("");
  // Gradients of 16 bits would be coarse, and the head is small.
  const DType wide = options.compute == DType::f64 ? DType::f64 : DType::f32;
  head_ = std::make_unique<Program>(head, stream, Options{.compute = wide, .training = true, .input_gradients = true});
  for (Program* part : {&features_->program(), head_.get()}) {
    part->params().copy_from(stream, detector.program().params());
    part->params_changed();
  }
}

std::vector<double> Explainer::features(std::span<const uint8_t> pixels, int count) {
  features_->run(pixels, count);
  return values_of(*stream_, features_->program().tensor(features_->head(0)));
}

Explainer::LogitGradients Explainer::logit_gradients(const std::vector<double>& features) {
  set_values(*stream_, head_->tensor(in_), features);
  head_->forward();
  const std::vector<double> said = values_of(*stream_, head_->tensor(out_));
  std::vector<double> one(said.size(), 0.0);
  LogitGradients s;
  for (size_t i = DetectorRow::label; i < said.size(); i += DetectorRow::count) {
    s.logits.push_back(said[i]);
    one[i] = 1;
  }
  set_values(*stream_, head_->gradient(out_), one);
  head_->backward(/*accumulate=*/false);
  s.gradients = values_of(*stream_, head_->gradient(in_));
  return s;
}

std::vector<HeatMap> Explainer::look(std::span<const uint8_t> pixels, int count) {
  const std::vector<double> seen = features(pixels, count);
  const std::vector<double> gradients = logit_gradients(seen).gradients;
  const size_t each = seen.size() / size_t(shape_.n);
  std::vector<HeatMap> maps;
  for (size_t i = 0; i < size_t(count); ++i)
    maps.push_back(grad_cam(std::span(seen).subspan(i * each, each), std::span(gradients).subspan(i * each, each),
                            shape_.w, shape_.h));
  return maps;
}

Grey mask_of(const HeatMap& map, int width, int height) {
  Grey mask(width, height);
  auto to = mask.pixels.begin();
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x) *to++ = uint8_t(std::lround(255 * map.at(x, y, width, height)));
  return mask;
}

PageMap page_map(const HeatMap& map, int width, int height) {
  const double shrink = std::min(1.0, double(kPageMapSide) / std::max(width, height));
  const auto scaled = [&](int length) { return std::max(1, int(std::lround(length * shrink))); };
  PageMap shown{scaled(width), scaled(height), {}};
  shown.values.reserve(size_t(shown.width) * size_t(shown.height));
  for (int y = 0; y < shown.height; ++y)
    for (int x = 0; x < shown.width; ++x) shown.values.push_back(map.at(x, y, shown.width, shown.height));
  return shown;
}

void draw_heat(Image& image, const HeatMap& map) {
  for (int y = 0; y < image.height; ++y)
    for (int x = 0; x < image.width; ++x) blend_heat(image.at(x, y), map.at(x, y, image.width, image.height));
}

}  // namespace telltale
