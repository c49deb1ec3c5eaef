#pragma once
// Event files, which TensorBoard draws: TFRecords of Event messages (tensorflow/core/util/event.proto).
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "base/protobuf.h"

namespace telltale {

/// A TFRecord of these bytes: their length, their content, and a masked CRC-32C of each.
std::string tf_record(std::string_view bytes);

/// An event file that grows; what was written is on its way to the disk when a call returns.
class EventFile {
 public:
  /// Begins a file in `folder`, making that where it is not there. Whatever event files of a run are there from `step`
  /// on counts no more: the run was set back. Throws DataError with the path when nothing can be written.
  EventFile(const std::string& folder, int64_t step);
  /// Numbers by their tags, "train/loss", at a step.
  void scalars(int64_t step, const std::vector<std::pair<std::string, double>>& values);
  /// A PNG file's picture. Throws DataError when it cannot be read.
  void image(int64_t step, const std::string& tag, const std::string& png_file);

 private:
  void write(int64_t step, const ProtoMessage& content);
  std::string path_;
  std::ofstream file_;
};

}  // namespace telltale
