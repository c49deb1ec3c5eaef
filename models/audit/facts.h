#pragma once
// What can be known of a dataset's picture without looking at what may be painted in it.
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "data/image.h"

namespace telltale {

/// Numbers with their names; every picture's have the same names in the same order.
struct Facts {
  std::vector<std::string> names;
  std::vector<double> values;
};

/// How a file is made: its kind, width and height, and of a JPEG the quantisation tables, chroma sampling, progressive
/// or not, and which segments there are. Not its length, which what is painted changes by itself.
Facts file_facts(std::span<const uint8_t> bytes, const std::string& name);

/// Pixels nearer than this to the mask count as painted: further off, painting and blending change nothing, and JPEG
/// carries nothing over.
inline constexpr int kAuditMargin = 8;

/// Of the 8 × 8 blocks (from the corner on) that lie kAuditMargin from the mask: for each of the 63 frequencies of
/// brightness' cosine transform the mean of log(1 + |c|) and the share of |c| < ½. Empty without such blocks.
Facts dct_facts(const Image&, const Grey& mask);

/// Of the strips 8 pixels wide along the four sides, without what lies within kAuditMargin of the mask: how often
/// second differences of brightness have which size, and the mean difference by its place on the grid of JPEG blocks.
/// Empty where nothing is left.
Facts border_facts(const Image&, const Grey& mask);

}  // namespace telltale
