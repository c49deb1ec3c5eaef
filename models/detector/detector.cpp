#include "models/detector/detector.h"

#include <algorithm>
#include <cmath>

#include "base/log.h"
#include "base/sha256.h"
#include "base/table.h"
#include "kernels/parts/math.h"
#include "models/families.h"
#include "nets/nets.h"
#include "weights/names.h"
#include "weights/weights_file.h"

namespace telltale {
namespace {

constexpr double kPublishedWidth = 64;  // outputs of every detector's first filter

/// One field of a weights file's metadata.
struct Field {
  const std::string& path;
  const std::map<std::string, std::string>& metadata;
  const char* name;

  std::string text() const {
    const auto it = metadata.find(name);
    TT_CHECK(it != metadata.end(), DataError, path, ": no \"", name,
             "\" in its metadata, so this is not a detector's weights file: give one that train or convert wrote");
    return it->second;
  }
  double number(double low, double high) const {
    const std::string value = text();
    size_t used = 0;
    double v = NAN;
    try {
      v = std::stod(value, &used);
    } catch (const std::logic_error&) {
      used = 0;
    }
    TT_CHECK(used == value.size() && v >= low && v <= high, DataError, path, ": metadata says ", name, " \"", value,
             "\", expected a number from ", low, " to ", high);
    return v;
  }
};

/// Ours say in their metadata what they are; of somebody else's the tensors do.
DetectorInfo info_of(const WeightsFile& file) {
  try {
    refuse_checkpoint(file.metadata());
  } catch (const DataError& e) {
    throw DataError(cat(file.path(), ": ", e.what()));
  }
  const auto kind = file.metadata().find("kind");
  TT_CHECK(kind == file.metadata().end() || kind->second != "locator", DataError, file.path(),
           ": a locator's weights file, and a detector is wanted here: give one that train --task detect wrote");
  if (file.metadata().contains("net")) return detector_info(file.path(), file.metadata());
  try {
    const DetectorInfo info = detector_info(identify(file.state_dict(), net_families()));
    spdlog::info("{} does not say how it was trained: taken as {} for {} × {} pixels", file.path(), info.net, info.size,
                 info.size);
    return info;
  } catch (const DataError& e) {
    throw DataError(cat(file.path(), ": not a detector's weights file: ", e.what()));
  }
}

}  // namespace

PictureGraph detector_graph(const DetectorInfo& info, int batch, int image_size, float dropout, Tensor resident) {
  PictureGraph d;
  Preprocess::Settings preprocess;
  preprocess.h = preprocess.w = info.size;
  preprocess.images = resident;
  const Value x = add_pictures(d, batch, image_size, preprocess);
  d.heads = {
      detector_net(info.net).build(d.graph, x, {.outputs = info.outputs, .width = info.width, .dropout = dropout})};
  d.graph.output(d.heads[0]);
  return d;
}

void refuse_checkpoint(const std::map<std::string, std::string>& metadata) {
  const auto kind = metadata.find("kind");
  TT_CHECK(kind == metadata.end() || kind->second != "checkpoint", DataError,
           "a checkpoint, for train --resume; take best.safetensors beside it");
}

DetectorInfo detector_info(const std::string& path, const std::map<std::string, std::string>& metadata) {
  const auto field = [&](const char* name) { return Field{path, metadata, name}; };
  DetectorInfo info;
  info.net = field("net").text();
  const auto& nets = detector_nets();
  const bool known = std::any_of(nets.begin(), nets.end(), [&](const DetectorNet& n) { return info.net == n.name; });
  TT_CHECK(known, DataError, path, ": metadata says net \"", info.net, "\", which is no detector known here");
  info.outputs = int(field("outputs").number(DetectorRow::count, DetectorRow::count));
  info.width = field("width").number(1e-3, 16);
  info.size = int(field("size").number(32, 4096));
  info.box_unit = field("box_unit").text();
  TT_CHECK(info.box_unit == "normalised" || info.box_unit == "pixel", DataError, path, ": metadata says box_unit \"",
           info.box_unit, "\", expected normalised or pixel");
  return info;
}

DetectorInfo detector_info(const NetIdentity& net) {
  TT_CHECK(net.outputs == DetectorRow::count, DataError, "the weights of ", net.family,
           net.outputs ? cat(" with ", net.outputs, " outputs") : "", ": a detector has ", DetectorRow::count + 0,
           "; give train such a file as --init");
  return {.net = net.family, .width = double(net.width) / kPublishedWidth};
}

std::map<std::string, std::string> detector_metadata(const DetectorInfo& info) {
  return {{"net", info.net},
          {"outputs", std::to_string(info.outputs)},
          {"width", exact_number(info.width)},
          {"size", std::to_string(info.size)},
          {"box_unit", info.box_unit}};
}

double Verdict::fake_probability() const { return sigmoid(double(raw[0])); }

RealBox Verdict::box(int width, int height) const {
  const auto span = [](float a, float b, double size) {
    return std::pair(std::clamp(double(std::min(a, b)), 0.0, 1.0) * size,
                     std::clamp(double(std::max(a, b)), 0.0, 1.0) * size);
  };
  const auto [x_min, x_max] = span(raw[1], raw[3], width);
  const auto [y_min, y_max] = span(raw[2], raw[4], height);
  return {x_min, y_min, x_max, y_max};
}

Box Verdict::pixel_box(int width, int height) const {
  const RealBox b = box(width, height);
  return {int(std::lround(b.x_min)), int(std::lround(b.y_min)), int(std::lround(b.x_max)), int(std::lround(b.y_max))};
}

Verdict verdict_of(std::span<const float> raw) {
  Verdict v;
  TT_CHECK(raw.size() == v.raw.size(), DataError, "a verdict is ", v.raw.size(), " numbers, got ", raw.size());
  for (size_t k = 0; k < v.raw.size(); ++k) {
    TT_CHECK(std::isfinite(raw[k]), DataError, "the net's output ", k, " is ", raw[k], ": its weights are broken");
    v.raw[k] = raw[k];
  }
  return v;
}

Detector::Detector(const std::string& weights, Stream& stream, const Settings& settings) : settings_(settings) {
  TT_CHECK(settings_.batch >= 1, UsageError, "a detector's batch must be at least 1, got ", settings_.batch);
  TT_CHECK(settings_.image_size >= 0, UsageError, "a detector's images cannot be ", settings_.image_size,
           " pixels wide");
  const WeightsFile file = WeightsFile::open(weights);
  info_ = info_of(file);
  sha256_ = sha256_file(weights);
  if (settings_.image_size == 0) settings_.image_size = info_.size;
  net_.emplace(detector_graph(info_, settings_.batch, settings_.image_size), stream,
               Options{.compute = settings_.compute, .stems = settings_.stems, .keep_parameters = false});
  Program& program = net_->program();
  try {
    load_params(stream, program.params(), file.state_dict());
  } catch (const DataError& e) {
    throw DataError(cat(weights, ": not the weights of a ", info_.net, ": ", e.what()));
  }
  program.params_changed();
}

Detector::Answer Detector::enqueue(std::span<const uint8_t> pixels, int count) {
  return [this, count, answer = net_->enqueue(pixels, count)] {
    const std::vector<float> raw = answer()[0];
    std::vector<Verdict> verdicts;
    for (int i = 0; i < count; ++i)
      verdicts.push_back(verdict_of(std::span(raw).subspan(size_t(i * info_.outputs), size_t(info_.outputs))));
    return verdicts;
  };
}

}  // namespace telltale
