#include "models/locator/inspection.h"

#include <fmt/format.h>

#include "data/jpeg.h"
#include "kernels/parts/math.h"
#include "models/locator/doubts.h"

namespace telltale {
namespace {

constexpr size_t kMostRegions = 32;

nlohmann::ordered_json to_json(const Box& b) { return {b.x_min, b.y_min, b.x_max, b.y_max}; }

}  // namespace

Photograph read_photograph(const std::string& path) { return decode_photograph(read_file(path), path); }

Photograph decode_photograph(std::span<const uint8_t> bytes, const std::string& name) {
  Photograph photo{.name = name, .image = {}, .remarks = {}};
  photo.image = decode_image(bytes, name, &photo.remarks);
  photo.jpeg_quality = jpeg_quality(bytes);
  return photo;
}

const char* name_of(Answer answer) {
  switch (answer) {
    case Answer::real: return "real";
    case Answer::fake: return "fake";
    default: return "uncertain";
  }
}

Inspection inspect(Locator& locator, const Photograph& photo, const InspectionSettings& settings) {
  Inspection said{.name = photo.name,
                  .map = locator.look(photo.image),
                  .reliability = {},
                  .reasons = {},
                  .notes = {},
                  .regions = {}};
  const double logit = locator.score(said.map);
  said.probability = sigmoid(logit);
  if (locator.calibration()) said.reliability = reliability(said.map.view(), locator.calibration()->pixels);
  said.regions = said.map.regions();
  if (said.regions.size() > kMostRegions) said.regions.resize(kMostRegions);
  said.reasons = doubts(photo.image, photo.jpeg_quality, said.map);
  said.notes = caveats(photo.image);
  if (const auto& undone = said.map.undone)
    said.notes.push_back(fmt::format("scaled from {}x{} ({}); looked at as it was before that", undone->width,
                                     undone->height, name_of(undone->filter)));
  const bool fake = calls_fake(logit, settings.threshold.value_or(locator.threshold()));
  if (const auto& calibration = locator.calibration(); calibration && !settings.threshold && !fake)
    if (said.probability >= calibration->real_below)
      said.reasons.push_back(
          fmt::format("not clear enough (probability {:.2f}; real below {:.2f}, fake from {:.2f} on)", said.probability,
                      calibration->real_below, calibration->threshold));
  said.answer = !said.reasons.empty() ? Answer::uncertain : fake ? Answer::fake : Answer::real;
  return said;
}

nlohmann::ordered_json to_json(const Inspection& said) {
  nlohmann::ordered_json j{
      {"width", said.map.width}, {"height", said.map.height}, {"fake_probability", said.probability}};
  if (said.reliability) j["reliability"] = *said.reliability;
  j["verdict"] = name_of(said.answer);
  if (!said.reasons.empty()) j["why"] = said.reasons;
  if (!said.notes.empty()) j["notes"] = said.notes;
  if (const auto& undone = said.map.undone)
    j["scaled_from"] = {{"width", undone->width}, {"height", undone->height}, {"filter", name_of(undone->filter)}};
  const bool boxed = said.answer == Answer::fake && !said.regions.empty();
  j["box"] = boxed ? to_json(box_of(said.regions)) : nlohmann::ordered_json(nullptr);
  j["regions"] = nlohmann::ordered_json::array();
  for (const Region& r : said.regions)
    j["regions"].push_back({{"box", to_json(r.box)}, {"area", r.area}, {"probability", sigmoid(r.logit)}});
  return j;
}

}  // namespace telltale
