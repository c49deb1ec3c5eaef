#pragma once
// What became of each picture: made by whoever looked at it, written down in order by one.
#include <optional>
#include <string>
#include <vector>

#include "base/deal.h"
#include "tools/infer/output.h"
#include "tools/infer/picture_folder.h"
#include "tools/infer/report.h"

namespace telltale {

/// A picture that infer drew: its file's bytes, or why there are none.
struct Drawn {
  std::vector<uint8_t> bytes;
  std::string error;
  /// Draws; what goes wrong costs this picture alone.
  static Drawn from(const std::function<std::vector<uint8_t>()>& draw);
};

/// What was found in a picture.
struct Looked {
  std::string path, error = {};  ///< why it could not be read: then nothing but the path counts
  Remarks remarks = {};
  nlohmann::ordered_json line = {};  ///< of the results, without mask, weights and time
  std::optional<Drawn> mask = {}, annotated = {};
  std::optional<PageItem> shown = {};
  double ms = 0;
};

/// Where results go: lines, drawn pictures, the report.
class Results {
 public:
  /// On rank 0 this makes the folders and throws what is wrong with them, on every rank. The settings must outlive it.
  Results(const InferSettings&, const std::vector<std::string>& paths);
  /// Deals groups of `group` pictures in their order. `look` makes of a group what there is to say of each of its
  /// pictures. Returns how many could not be read or drawn, which rank 0 knows.
  int collect(size_t pictures, size_t group, size_t ahead, const MakeItem<std::vector<Looked>>& look,
              const std::string& weights_sha256);
  /// Null: no report was asked for.
  const InferReport* page() const { return page_ ? &*page_ : nullptr; }
  /// What rank 0 does at the end.
  void write_report(double threshold, const std::string& weights_sha256, const Stream&) const;

 private:
  void write(Looked, const std::string& weights_sha256);
  void write(const std::string& path, const char* what, const Drawn&, const std::function<void()>& put);
  const InferSettings& s_;
  std::optional<Output> output_;
  std::optional<PictureFolder> annotations_, masks_;
  std::optional<InferReport> page_;
  int failed_ = 0;
};

}  // namespace telltale
