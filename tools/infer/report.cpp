#include "tools/infer/report.h"

#include "base/atomic_file.h"
#include "base/outputs.h"
#include "models/device.h"
#include "models/report/evaluation_page.h"

namespace telltale {

InferReport::InferReport(const InferSettings& s, size_t pictures)
    : settings_(s), page_(int64_t(pictures), size_t(s.report_mb) << 20) {}

PageItem InferReport::item(const Photograph& photo, const Inspection& said) const {
  PageEntry entry = page_entry(said);
  for (const std::string& remark : photo.remarks) entry.remarks.push_back(remark);
  const PageMap map = page_map(said.map);
  return page_.item(std::move(entry), photo.image, &map);
}

PageItem InferReport::item(const std::string& path, const Image& image, const Said& said) const {
  PageEntry entry{.name = path, .width = image.width, .height = image.height, .probability = said.probability};
  entry.verdict = said.fake ? "fake" : "real";
  entry.box = real(said.box);
  const PageMap map = said.heat ? page_map(*said.heat, image.width, image.height) : PageMap{};
  return page_.item(std::move(entry), image, said.heat ? &map : nullptr);
}

void InferReport::add_unread(const std::string& path, const std::string& why) {
  page_.add_unread({.name = path, .remarks = {why}});
}

void InferReport::write(double threshold, const std::string& weights_sha256, const Stream& stream) const {
  PageHead head{.title = "What infer said", .command = settings_.command, .threshold = threshold};
  head.facts["Weights"] = weights_card(settings_.weights, weights_sha256);
  head.facts["Run"] = {{"device", stream.description()},
                       {"machine", machine_description()},
                       {"precision of activations", settings_.precision}};
  if (settings_.explain) {
    head.map_name = "where the net looked";
    head.facts["Run"]["heat maps"] = kHeatMapMeaning;
  }
  write_atomically(settings_.report, page_.html(head, nlohmann::json::object()));
}

}  // namespace telltale
