#include "models/locator/task.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>

#include "data/mask.h"
#include "kernels/device/philox.h"
#include "losses/pixels.h"
#include "models/locator/map.h"
#include "models/metrics.h"
#include "models/pixel_metrics.h"
#include "nets/locator.h"
#include "nets/trace_locator.h"

namespace telltale {
namespace {

/// A random window of side × side on the grid of JPEG blocks, as whole pictures lie on it; the label follows the mask.
void cut_window(Example& e, Random& random, int side) {
  constexpr int kBlock = 8;
  const int x = kBlock * int(random.integer(0, (e.image.width - side) / kBlock)),
            y = kBlock * int(random.integer(0, (e.image.height - side) / kBlock));
  const Box box{x, y, x + side, y + side};
  e.image = crop(e.image, box);
  e.truth.mask = crop(e.truth.mask, box);
  e.truth.label.box = bounds_of(e.truth.mask);
  e.truth.label.fake = !e.truth.label.box.empty();
  e.truth.width = e.truth.height = side;
}

/// Pixels as the net's map has them; pictures by their highest logits, with their regions' box.
class LocateJudge final : public Judge {
 public:
  explicit LocateJudge(const Dataset& dataset) : dataset_(dataset) {}
  void see(const Batch& batch, const std::vector<std::vector<float>>& outputs) override {
    const int side = batch.size / kLocatorScale;
    const size_t pixels = size_t(side) * size_t(side);
    for (size_t i = 0; i < size_t(batch.count); ++i) {
      const std::span<const float> logits = std::span(outputs[0]).subspan(i * pixels, pixels);
      tally_.add(logits.data(), batch.targets[0].data() + i * pixels, int64_t(pixels));
      const LogitMap map{side, side, kLocatorScale, logits};
      samples_.push_back(sample_of(map, dataset_.labels()[size_t(batch.rows[i])]));
    }
  }
  Findings findings() override {
    const PixelScores p = tally_.scores();
    const Evaluation e = evaluate(samples_);
    const double f1 = e.confusion.f1(), box_iou = e.localisation.mean_iou;
    return {
        {p.f1, p.iou, p.auc, p.average_precision, e.confusion.precision(), e.confusion.recall(), f1, e.auc, box_iou},
        fmt::format("pixels: F1 {:.3f}, IoU {:.3f}, AUC {:.3f}; pictures: F1 {:.3f}, AUC {:.3f}, box IoU {:.3f}", p.f1,
                    p.iou, p.auc, f1, e.auc, box_iou)};
  }

 private:
  const Dataset& dataset_;
  PixelTally tally_;
  std::vector<Sample> samples_;
};

struct LocatorNet {
  const char* name;
  bool normalised;                       ///< takes pictures as detectors do; otherwise as they are, from 0 to 255
  bool compares;                         ///< places of its picture with each other
  bool grids;                            ///< looks for traces on the grids of JPEG blocks
  std::span<const char* const> encoder;  ///< layers that weights of another net may fill
  Value (*build)(Graph&, Value pictures, const LocatorInfo&);
};
constexpr LocatorNet kNets[] = {
    {"locator",
     false,
     false,
     false,
     {},
     [](Graph& g, Value x, const LocatorInfo& i) {
       return locator(g, x, {.width = i.width, .residuals = i.residuals, .bayar = i.bayar});
     }},
    {"resnet18_locator", true, false, false, kResnetLocatorEncoder,
     [](Graph& g, Value x, const LocatorInfo& i) { return resnet18_locator(g, x, i.width); }},
    {"trace_locator", false, true, true, {}, [](Graph& g, Value x, const LocatorInfo& i) {
       return trace_locator(g, x, {.width = i.width, .scales = i.scales});
     }}};

const LocatorNet& net_named(const std::string& name) {
  const auto net =
      std::find_if(std::begin(kNets), std::end(kNets), [&](const LocatorNet& n) { return n.name == name; });
  TT_CHECK(net != std::end(kNets), UsageError, "no locator is called ", name);
  return *net;
}

}  // namespace

bool compares_places(const LocatorInfo& info) { return net_named(info.net).compares; }
bool reads_grids(const LocatorInfo& info) { return net_named(info.net).grids; }

std::vector<std::string> locator_nets() {
  std::vector<std::string> names;
  for (const LocatorNet& net : kNets) names.emplace_back(net.name);
  return names;
}

PictureGraph locator_graph(const LocatorInfo& info, int batch, int image_size, Tensor resident) {
  return locator_graph(info, {batch, image_size, image_size, 3}, resident);
}

PictureGraph locator_graph(const LocatorInfo& info, const Shape& pictures, Tensor resident) {
  TT_CHECK(pictures.h % 8 == 0 && pictures.w % 8 == 0, UsageError,
           "a locator takes pictures whose sides are multiples of 8, not ", pictures.w, "x", pictures.h);
  PictureGraph p;
  const LocatorNet& net = net_named(info.net);
  Preprocess::Settings bytes{.h = int(pictures.h), .w = int(pictures.w), .images = resident};
  if (!net.normalised) {
    std::fill(std::begin(bytes.mean), std::end(bytes.mean), 0.0f);
    std::fill(std::begin(bytes.std), std::end(bytes.std), 1.0f / 255);
  }
  const Value x = add_pictures(p, pictures, bytes);
  p.heads = {net.build(p.graph, x, info)};
  p.graph.output(p.heads[0]);
  return p;
}

std::map<std::string, std::string> LocateTask::metadata() const {
  return {{"kind", "locator"},
          {"net", recipe_.net},
          {"width", std::to_string(recipe_.width)},
          {"residuals", recipe_.residuals ? "1" : "0"},
          {"bayar", recipe_.bayar ? "1" : "0"},
          {"scales", std::to_string(recipe_.scales)}};
}

std::vector<std::string> LocateTask::encoder() const {
  const std::span<const char* const> layers = net_named(recipe_.net).encoder;
  return {layers.begin(), layers.end()};
}

PictureGraph LocateTask::graph(int batch, int image_size, Tensor resident) const {
  return locator_graph(info(), batch, image_size, resident);
}

std::vector<Head> LocateTask::heads(int image_size) const {
  const int side = image_size / kLocatorScale;
  std::vector<Head> heads(1);
  Head& h = heads[0];
  h.target = {1, side, side, 1};
  h.write = [](const Truth& t, float* to) { shares_of(t.mask, kLocatorScale, to); };
  h.loss = make_pixel_loss(recipe_.loss, recipe_.loss_settings);
  using Kind = Figure::Kind;
  h.figures = {{"map", PixelTerms::total, Kind::loss},
               {"pixel_accuracy", PixelTerms::correct, Kind::count},
               {"pixel_iou", PixelTerms::iou, Kind::count, /*of_positives=*/true}};
  return heads;
}

Augment LocateTask::augmentation(int stored) const {
  const int side = training_size(stored);
  const Degradation& d = recipe_.degradation;
  if (side == stored && d.none()) return {};
  return [side, d](Example& e, Random& random) {
    degrade(e.image, e.truth.mask, d, side, random);
    cut_window(e, random, side);
  };
}

int LocateTask::training_size(int stored) const {
  TT_CHECK(recipe_.window <= stored, UsageError, "window is ", recipe_.window, ", and the dataset's images are ",
           stored, " pixels wide");
  return recipe_.window > 0 ? recipe_.window : stored;
}

std::vector<std::string> LocateTask::validation_columns() const {
  return {"pixel_f1", "pixel_iou", "pixel_auc", "pixel_ap", "precision", "recall", "f1", "auc", "mean_iou"};
}

std::unique_ptr<Judge> LocateTask::judge(const Dataset& dataset) const {
  return std::make_unique<LocateJudge>(dataset);
}

}  // namespace telltale
