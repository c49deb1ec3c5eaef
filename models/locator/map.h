#pragma once
// What a map of logits says of a picture: a score, and where.
#include <span>
#include <vector>

#include "data/boxes.h"
#include "data/image.h"
#include "data/labels.h"
#include "models/metrics.h"

namespace telltale {

/// Logits of "painted", row by row; each stands for scale × scale pixels of the picture.
struct LogitMap {
  int width = 0, height = 0, scale = 1;
  std::span<const float> logits;
};

/// A connected region, edges and corners touching, of a map.
struct Region {
  Box box;           ///< in pixels of the picture
  int64_t area = 0;  ///< likewise
  double logit = 0;  ///< mean over the region
};
/// All regions of logits ≥ threshold, the largest first; of equal ones the first met row by row.
std::vector<Region> regions_of(const LogitMap&, double threshold = 0);

/// The picture's logit: the mean of its highest hundredth of logits (at least one), by which pictures are ranked.
double picture_logit(const LogitMap&);

/// The smallest box around what was painted: around all regions of at least a twentieth of the largest one's area, for
/// smaller ones are mostly noise. "No box" without regions.
Box box_of(std::span<const Region>);

/// A picture as its map calls it: by picture_logit, with box_of its regions.
Sample sample_of(const LogitMap&, const Label&);

/// What of each scale × scale pixels of a mask is painted, in [0, 1]; sizes must be multiples of scale.
void shares_of(const Grey& mask, int scale, float* to);

}  // namespace telltale
