#pragma once
// Which files infer looks at.
#include <string>
#include <vector>

namespace telltale {

/// What the arguments name, in their order: a file as it is (it may be unreadable: that is reported as its result), a
/// folder's photographs with subfolders in path order, a pattern's matches (`*`, `?`, `[…]`) in name order. DataError
/// for a folder without photographs and for a pattern that matches nothing.
std::vector<std::string> images_named(const std::vector<std::string>& arguments);

}  // namespace telltale
