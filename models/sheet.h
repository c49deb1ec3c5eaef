#pragma once
// Contact sheets: pictures side by side for people to judge.
#include <string>
#include <vector>

#include "data/image.h"

namespace telltale {

/// The photograph with white where `mask` ≥ 128. Sizes must agree, else ShapeError.
Image with_hole(const Image& photo, const Grey& mask);

/// Rows of equally large pictures, a title above each column and `caption` above them all (none if empty). Rows may be
/// shorter than `titles`, not longer; else, or when sizes differ, ShapeError.
Image contact_sheet(const std::vector<std::string>& titles, const std::vector<std::vector<Image>>& rows,
                    const std::string& caption = "");

}  // namespace telltale
