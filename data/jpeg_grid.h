#pragma once
// Whether a picture lies on a grid of JPEG blocks, as one does that was a JPEG and was not scaled since.
#include <array>

#include "data/image.h"

namespace telltale {

/// Where a block of 8 × 8 pixels lies on each of the 64 possible grids: brightness of 15 × 15 pixels, and a sixteenth
/// column that nothing reads.
using GridPlace = std::array<std::array<float, 16>, 15>;

/// Counts on every grid how many of the blocks' DCT coefficients are below ½.
class GridVotes {
 public:
  /// Of the lowest so many frequencies (1 to 7) in both directions, the mean left out.
  explicit GridVotes(int frequencies = 7) : frequencies_(size_t(frequencies)) {}
  void add(const GridPlace&);
  /// The log-odds of that share on the grid where it is highest, over the median grid's. 0 of fewer than 16 places.
  double evidence() const;
  /// The standard error of those log-odds on the median grid; infinite of fewer than 16 places.
  double standard_error() const;

 private:
  std::array<double, 64> odds() const;  ///< on each grid
  double samples() const { return double(size_t(places_) * frequencies_ * frequencies_); }
  size_t frequencies_;
  int places_ = 0;
  std::array<std::array<int, 8>, 8> small_{};  ///< [down][right]
};

/// How far one grid stands out in a picture, by 100 places: quantisation leaves more small coefficients on its own grid
/// than on others. About 1 and more for JPEGs of qualities to 98, cropped or not; below .3 for nearly all pictures that
/// were scaled after, or never saved as JPEG. 0 for pictures with fewer than 16 places (sides below 39 pixels).
double jpeg_grid_evidence(const Image&);
/// From there on a picture lies on a grid.
inline constexpr double kJpegGridEvidence = 0.45;

}  // namespace telltale
