#pragma once
// The folder of pictures with a verdict drawn in: what it may hold, and what it must not cost.
#include <set>
#include <string>
#include <vector>

#include "data/image.h"

namespace telltale {

/// Names pictures after the files they show, STEM.jpg, numbered from the second on where several folders have one.
/// `.annotated` in the folder lists what was written there, so that a later run may replace that and nothing else.
class Annotations {
 public:
  /// Makes the folder. UsageError when it is one of the folders looked at, or when it holds a file that this program
  /// did not write under a name that a picture of `paths` would take.
  Annotations(const std::string& folder, const std::vector<std::string>& arguments,
              const std::vector<std::string>& paths);
  /// Writes the picture of one of `paths`. DataError when it cannot be encoded or written.
  void write(const std::string& path, const Image& image);

 private:
  std::string list_path() const { return folder_ + "/.annotated"; }
  void note(const std::string& name);
  std::string folder_;
  std::set<std::string> ours_, taken_;  ///< names written ever; names given out in this run
};

}  // namespace telltale
