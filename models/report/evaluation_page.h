#pragma once
// What `eval` measured, as a page.
#include "models/detector/report.h"
#include "models/locator/inspection.h"
#include "models/report/page.h"

namespace telltale {

/// Collects an evaluation's pictures. The dataset must outlive it.
class EvaluationPage {
 public:
  /// `bytes`: how large pictures may be in the file, all together.
  EvaluationPage(const Dataset&, int64_t pictures, double threshold, size_t bytes);
  /// A row's image as it was looked at, what was said of it, and a locator's map (null: none). Reads the row's mask:
  /// DataError where that fails.
  PageItem item(int row, const Image&, const Sample&, const PictureMap* map) const;
  void add(PageItem item) { page_.add(std::move(item)); }
  /// The page; `panels` as in PageHead.
  std::string html(const Report&, const nlohmann::ordered_json& panels) const;

 private:
  const Dataset& dataset_;
  double threshold_;
  ReportPage page_;
};

/// A weights file as a card: path, SHA-256 and whatever its metadata say. Throws as WeightsFile::open.
nlohmann::ordered_json weights_card(const std::string& path, const std::string& sha256);
/// What a locator said of a picture whose truth is not known.
PageEntry page_entry(const Inspection&);
/// A locator's map as a page shows it.
PageMap page_map(const PictureMap&);

}  // namespace telltale
