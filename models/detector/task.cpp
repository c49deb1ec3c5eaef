#include "models/detector/task.h"

#include <fmt/format.h>

#include "base/sha256.h"
#include "losses/loss.h"
#include "models/detector/detector.h"
#include "models/detector/prediction.h"
#include "nets/nets.h"

namespace telltale {
namespace {

DetectorInfo info_of(const Recipe& r) { return {r.net, DetectorRow::count, r.width, r.size, r.box_unit}; }

/// Label, then corners divided by the image's sides.
void write_target(const Truth& t, float* to) {
  const Box& b = t.label.box;
  const float w = float(t.width), h = float(t.height);
  to[DetectorRow::label] = t.label.fake;
  to[DetectorRow::x_min] = b.x_min / w;
  to[DetectorRow::y_min] = b.y_min / h;
  to[DetectorRow::x_max] = b.x_max / w;
  to[DetectorRow::y_max] = b.y_max / h;
}

class DetectJudge final : public Judge {
 public:
  explicit DetectJudge(const Dataset& dataset) : dataset_(dataset) {}
  void see(const Batch& batch, const std::vector<std::vector<float>>& outputs) override {
    for (int i = 0; i < batch.count; ++i)
      samples_.push_back(
          sample_of(dataset_, batch.rows[size_t(i)],
                    verdict_of(std::span(outputs[0]).subspan(size_t(i) * DetectorRow::count, DetectorRow::count))));
  }
  Findings findings() override {
    const Evaluation e = evaluate(samples_);
    const Confusion& c = e.confusion;
    return {{c.precision(), c.recall(), c.f1(), e.auc, e.localisation.mean_iou},
            fmt::format("F1 {:.3f}, AUC {:.3f}, mean IoU {:.3f}", c.f1(), e.auc, e.localisation.mean_iou)};
  }

 private:
  const Dataset& dataset_;
  std::vector<Sample> samples_;
};

}  // namespace

nlohmann::ordered_json DetectTask::bound() const {
  auto j = nlohmann::ordered_json::object();
  if (!recipe_.loss_file.empty()) j["loss_file_sha256"] = sha256_file(recipe_.loss_file);
  return j;
}

std::map<std::string, std::string> DetectTask::metadata() const {
  auto m = detector_metadata(info_of(recipe_));
  m["kind"] = "detector";
  return m;
}

PictureGraph DetectTask::graph(int batch, int image_size, Tensor resident) const {
  return detector_graph(info_of(recipe_), batch, image_size, float(recipe_.dropout), resident);
}

void DetectTask::freeze(Graph& g) const {
  if (!recipe_.freeze_backbone) return;
  g.freeze("");
  g.freeze(replaced_layer(), false);
}

std::string DetectTask::replaced_layer() const { return detector_net(recipe_.net).head; }

std::vector<Head> DetectTask::heads(int image_size) const {
  std::vector<Head> heads(1);
  Head& h = heads[0];
  h.target = {1, 1, 1, DetectorRow::count};
  h.write = write_target;
  h.loss = make_detection_loss(recipe_.loss, detection_settings(recipe_, image_size));
  using Kind = Figure::Kind;
  h.figures = {{"classification", DetectionTerms::classification, Kind::loss},
               {"box", DetectionTerms::box, Kind::loss, /*of_positives=*/true},
               {"accuracy", DetectionTerms::correct, Kind::count},
               {"mean_iou", DetectionTerms::iou, Kind::count, /*of_positives=*/true}};
  return heads;
}

std::vector<std::string> DetectTask::validation_columns() const {
  return {"precision", "recall", "f1", "auc", "mean_iou"};
}

std::unique_ptr<Judge> DetectTask::judge(const Dataset& dataset) const {
  return std::make_unique<DetectJudge>(dataset);
}

}  // namespace telltale
