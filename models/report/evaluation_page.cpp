#include "models/report/evaluation_page.h"

#include <cmath>

#include "base/table.h"
#include "data/codec.h"
#include "kernels/parts/math.h"
#include "models/device.h"
#include "weights/weights_file.h"

namespace telltale {
namespace {

using nlohmann::ordered_json;

/// Metadata may hold whole recipes.
std::string shortened(const std::string& text) {
  constexpr size_t kMost = 1500;
  return text.size() <= kMost ? text : text.substr(0, kMost) + " …";
}

ordered_json dataset_card(const Dataset& data, const Report& r) {
  const DatasetInfo& info = data.info();
  ordered_json card{{"path", data.dir()},
                    {"split", r.split},
                    {"images", cat(r.evaluation.fakes + r.evaluation.reals, ", ", r.evaluation.fakes, " of them fake")},
                    {"image size", cat(info.size, " × ", info.size)},
                    {"seed", info.seed},
                    {"masks", info.mask_law},
                    {"negatives", info.negatives},
                    {"painted by", cat(info.inpainter, " ", info.weights_sha256)},
                    {"files", info.quality ? cat(info.codec, ", quality ", info.quality) : info.codec},
                    {"SHA-256 of labels.csv", data.labels_sha256()}};
  for (const auto& [name, value] : info.treatment) card[name] = shortened(value);
  return card;
}

}  // namespace

ordered_json weights_card(const std::string& path, const std::string& sha256) {
  ordered_json card{{"path", path}, {"SHA-256", sha256}};
  const WeightsFile file = WeightsFile::open(path);
  for (const auto& [name, value] : file.metadata()) card[name] = shortened(value);
  int64_t parameters = 0;
  for (const auto& tensor : file.state_dict()) parameters += tensor.info.numel();
  card["numbers in the file"] = parameters;
  return card;
}

PageEntry page_entry(const Inspection& said) {
  PageEntry entry{.name = said.name, .width = said.map.width, .height = said.map.height};
  entry.probability = said.probability;
  entry.verdict = name_of(said.answer);
  entry.remarks = said.reasons;
  entry.remarks.insert(entry.remarks.end(), said.notes.begin(), said.notes.end());
  if (!said.regions.empty()) entry.box = real(said.regions.front().box);
  return entry;
}

PageMap page_map(const PictureMap& map) {
  const LogitMap view = map.view();
  PageMap shown{view.width, view.height, {}};
  shown.values.reserve(map.logits.size());
  for (const float logit : map.logits) shown.values.push_back(sigmoid(logit));
  return shown;
}

EvaluationPage::EvaluationPage(const Dataset& dataset, int64_t pictures, double threshold, size_t bytes)
    : dataset_(dataset), threshold_(threshold), page_(pictures, bytes) {}

PageItem EvaluationPage::item(int row, const Image& image, const Sample& sample, const PictureMap* map) const {
  const Label& label = dataset_.labels()[size_t(row)];
  PageEntry entry{.name = label.id, .split = name_of(label.split), .width = image.width, .height = image.height};
  entry.probability = sigmoid(sample.logit);
  entry.verdict = calls_fake(sample.logit, threshold_) ? "fake" : "real";
  entry.box = sample.predicted;
  entry.fake = label.fake;
  if (!label.painter.empty()) entry.remarks.push_back("painted by " + label.painter);
  Grey mask;
  if (label.fake) {
    entry.truth = sample.truth;
    mask = read_grey(dataset_.mask_path(row));
  }
  const PageMap heat = map ? page_map(*map) : PageMap{};
  return page_.item(std::move(entry), image, map ? &heat : nullptr, label.fake ? &mask : nullptr);
}

std::string EvaluationPage::html(const Report& r, const ordered_json& panels) const {
  PageHead head{.title = cat(r.info.net, " on ", dataset_.dir(), ", split ", r.split), .command = r.command};
  head.threshold = threshold_;
  head.panels = panels;
  for (const Measure& m : measures_of(r)) {
    std::string remark = m.remark;
    if (m.interval) {
      const std::string ends = cat("95 % in ", ends_of(*m.interval));
      remark = remark.empty() ? ends : cat(ends, "; ", remark);
    }
    head.measures.push_back({m.name, std::isfinite(m.value) ? ordered_json(m.value) : ordered_json(), remark});
  }
  head.facts["Weights"] = weights_card(r.weights, r.weights_sha256);
  head.facts["Dataset"] = dataset_card(dataset_, r);
  head.facts["Run"] = {{"device", r.device},
                       {"machine", machine_description()},
                       {"precision of activations", r.precision},
                       {"images a second", fixed(double(r.samples.size()) / r.seconds, 1)}};
  return page_.html(head, curves_json(r.samples));
}

}  // namespace telltale
