#pragma once
// A report as one file that opens anywhere: pictures, what was said of them, curves, and how it came about. It needs no
// network; its page is models/report/report.{html,css,js}.
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/packed.h"
#include "data/image.h"
#include "models/metrics.h"

namespace telltale {

/// What was said of a picture, and what is known of it.
struct PageEntry {
  std::string name;  ///< as its user knows it: an id or a path
  std::string split = {};
  int width = 0, height = 0;  ///< of the picture, in whose pixels boxes are
  double probability = 0;
  std::string verdict = {};  ///< real, fake, uncertain or unread
  std::optional<RealBox> box = std::nullopt;
  std::vector<std::string> remarks = {};    ///< why it is uncertain, what to keep in mind, or why it could not be read
  std::optional<bool> fake = std::nullopt;  ///< what it is, where that is known
  std::optional<RealBox> truth = std::nullopt;  ///< of a known fake
};

/// A map over a picture in [0, 1], row by row.
struct PageMap {
  int width = 0, height = 0;
  std::vector<float> values;
};

/// A picture of how a run went, such as a contact sheet.
struct PageSheet {
  std::string name;           ///< such as "step 400"
  std::string shows;          ///< what a reader who does not see it is told
  std::vector<uint8_t> jpeg;  ///< its bytes
};

/// What stands above the pictures.
struct PageHead {
  std::string title, command;
  double threshold = 0.5;
  /// Cards: name → {name → text or number}.
  nlohmann::ordered_json facts = nlohmann::ordered_json::object();
  /// Lines of the table of measures: [name, number, remark].
  nlohmann::ordered_json measures = nlohmann::ordered_json::array();
  /// Panels of lines with intervals, as robustness_json makes them; null: none.
  nlohmann::ordered_json panels = {};
  /// Charts of lines: [{title, axis, at: [number], series: [{name, values: [number or null]}]}].
  nlohmann::ordered_json lines = nlohmann::ordered_json::array();
  std::vector<PageSheet> sheets = {};  ///< in order; one is shown, a slider leads to the others
  std::string map_name = "heat map";   ///< what a reader switches maps on by
  std::string summary = {};            ///< what is said below the title of a page without pictures
};

/// The curves of samples whose truth is known, as the page draws them: roc, auc, precision_recall, average_precision,
/// reliability, calibration_error, overlaps. An empty object when all are of one class. Curves keep at most 400 points.
nlohmann::ordered_json curves_json(std::span<const Sample> samples);

/// What a page keeps of a picture.
struct PageItem {
  PageEntry entry;
  std::vector<uint8_t> picture, layers;  ///< a JPEG; a PNG: red is the map, green the mask
  bool map = false, mask = false;        ///< what layers hold
};
/// For another process, and back.
Packed packed(const PageItem&);
PageItem page_item_in(const Packed&);

/// Collects pictures as thumbnails and writes the file. Its size is bounded: thumbnails get smaller as there are more
/// pictures, and those that do not fit are listed without one, rightly called ones first. The page says how many.
class ReportPage {
 public:
  /// `pictures`: about how many will come; `bytes`: how large pictures may be in the file, all together.
  ReportPage(int64_t pictures, size_t bytes);
  /// What the page keeps of a picture, which may have any size; map and mask (both may be null) cover it. ShapeError
  /// where a map has not as many values as pixels.
  PageItem item(PageEntry entry, const Image& picture, const PageMap* map = nullptr, const Grey* mask = nullptr) const;
  void add(PageItem item) { shown_.push_back(std::move(item)); }
  void add(PageEntry entry, const Image& picture, const PageMap* map = nullptr, const Grey* mask = nullptr) {
    add(item(std::move(entry), picture, map, mask));
  }
  /// One that could not be read: its remarks say why.
  void add_unread(PageEntry entry);
  /// The whole page. `curves` as curves_json gives them; empty: none are drawn.
  std::string html(const PageHead& head, const nlohmann::ordered_json& curves) const;
  /// Longer side of a thumbnail, in pixels.
  int side() const { return side_; }

 private:
  std::vector<bool> which_fit(double threshold) const;

  std::vector<PageItem> shown_;
  size_t bytes_;
  int side_;
};

/// Map (red, to 32 levels) and mask (green) as a PNG, shrunk until neither side is longer; either may be null, not
/// both.
std::vector<uint8_t> layers_png(const PageMap* map, const Grey* mask, int longest);

/// Thumbnails' longer side for so many pictures in so many bytes.
int thumbnail_side(int64_t pictures, size_t bytes);

}  // namespace telltale
