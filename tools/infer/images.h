#pragma once
// Which files infer looks at.
#include <string>
#include <vector>

#include "data/image.h"

namespace telltale {

/// What the arguments name.
struct NamedImages {
  std::vector<std::string> paths;
  Remarks unreadable;  ///< folders and patterns without a photograph or that cannot be read, one line each
  Remarks remarks;     ///< what was passed over in folders
};
/// In the arguments' order: a file as it is (it may be unreadable: that is reported as its result), a folder's
/// photographs with subfolders in path order, a pattern's matches (`*`, `?`, `[…]`) in name order. What lies in
/// `passed_over`, folders that this program writes, is no photograph of a folder around it. DataError when nothing is
/// left to look at.
NamedImages images_named(const std::vector<std::string>& arguments, const std::vector<std::string>& passed_over = {});

}  // namespace telltale
