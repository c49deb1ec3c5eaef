#pragma once
// Where a detector looked: Grad-CAM (Selvaraju et al. 2017), as numbers and drawn.
#include <memory>
#include <span>
#include <vector>

#include "models/detector/detector.h"
#include "models/report/page.h"

namespace telltale {

/// Where a detector looked, over a grid that covers the picture.
struct HeatMap {
  int width = 0, height = 0;  ///< of the grid
  /// height rows of width, in [0, 1]: 1 where the most spoke for "fake", 0 where nothing did.
  std::vector<float> values;
  /// At a pixel of a picture of that size, linear between the middles of the grid's cells.
  float at(int x, int y, int picture_width, int picture_height) const;
};

/// Grad-CAM of one picture. features and gradients (of the logit, with respect to them): height × width × channels
/// each, channels last. A channel's weight is the mean of its gradients (eq. 1); a cell's value the weighted sum of its
/// features, where that is positive (eq. 2), over the highest such sum. ShapeError where the two differ in size or are
/// no whole number of cells, DataError where a sum is not finite.
HeatMap grad_cam(std::span<const double> features, std::span<const double> gradients, int width, int height);

/// Says of pictures where a detector looked. It holds the detector's net a second time, in two parts: up to the last
/// features that have a place in the picture, and what makes the logit of them, planned for backward.
class Explainer {
 public:
  /// Of a detector that has not run yet, whose weights it copies: a run gives their memory back, and this then throws
  /// Error. For as many pictures at a time. The stream must outlive it.
  Explainer(Detector&, Stream&);
  /// pixels, count: as Detector::run takes them.
  std::vector<HeatMap> look(std::span<const uint8_t> pixels, int count);

  /// The last features of pictures, {N,h,w,C}, and its size. A short batch's other pictures hold anything.
  std::vector<double> features(std::span<const uint8_t> pixels, int count);
  const Shape& shape() const { return shape_; }
  /// The logits "fake" of such features, and their gradients with respect to them.
  struct LogitGradients {
    std::vector<double> logits, gradients;
  };
  LogitGradients logit_gradients(const std::vector<double>& features);

 private:
  Stream* stream_;
  Shape shape_;
  std::optional<PictureNet> features_;
  std::unique_ptr<Program> head_;
  Value in_{}, out_{};  ///< of head_
};

/// 255 · the map's value at each pixel of a picture of that size.
Grey mask_of(const HeatMap&, int width, int height);
/// The same for a report, at most kPageMapSide pixels a side.
inline constexpr int kPageMapSide = 96;
PageMap page_map(const HeatMap&, int width, int height);
/// Lays the map over the picture as heat.
void draw_heat(Image&, const HeatMap&);

/// What a reader must know of such a map.
inline constexpr const char* kHeatMapMeaning =
    "Grad-CAM: what in the picture spoke for a fake, on each picture's own scale from nothing (0) to the most (1). It "
    "is no probability: an untouched picture has a brightest spot, too.";

}  // namespace telltale
