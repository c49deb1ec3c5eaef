#pragma once
// --report: what was said of every picture, as one page.
#include "models/detector/explanation.h"
#include "models/locator/inspection.h"
#include "models/report/page.h"
#include "tools/infer/tasks.h"

namespace telltale {

/// What a detector said of a picture.
struct Said {
  bool fake = false;
  double probability = 0;         ///< of a fake
  Box box;                        ///< counts where it is fake
  const HeatMap* heat = nullptr;  ///< where it looked; null: not asked
};

/// Collects pictures and writes the page. The settings must outlive it.
class InferReport {
 public:
  /// DataError when the settings' report cannot be written there.
  InferReport(const InferSettings&, size_t pictures);
  /// What a locator said; what a detector did.
  PageItem item(const Photograph&, const Inspection&) const;
  PageItem item(const std::string& path, const Image&, const Said&) const;
  void add(PageItem item) { page_.add(std::move(item)); }
  void add_unread(const std::string& path, const std::string& why);
  /// `threshold`: from which a picture was called fake.
  void write(double threshold, const std::string& weights_sha256, const Stream&) const;

 private:
  const InferSettings& settings_;
  ReportPage page_;
};

}  // namespace telltale
