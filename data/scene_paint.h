#pragma once
// The canvas of the procedural scenes (scenes.h) and the things that occlude one another on it.
#include <algorithm>
#include <vector>

#include "data/scene_material.h"

namespace telltale {

/// Linear light, row-major; lengths are in canvas pixels.
struct Canvas {
  int width, height;
  std::vector<Rgb> pixels;
  Canvas(int w, int h) : width(w), height(h), pixels(size_t(w) * h) {}
  Rgb& at(int x, int y) { return pixels[size_t(y) * width + x]; }
  /// pixel = colour(x, y) over the columns and rows of the half-open range that lie on the canvas.
  template <class Colour>
  void fill(float x_min, float y_min, float x_max, float y_max, Colour colour) {
    for (int y = std::max(0, int(y_min)); y < std::min(height, int(y_max)); ++y)
      for (int x = std::max(0, int(x_min)); x < std::min(width, int(x_max)); ++x)
        at(x, y) = colour(float(x), float(y), at(x, y));
  }
};

/// Towards the light: to the right, down, out of the picture; length 1.
struct Light {
  float x, y, z;
};

/// An occluder: a disc, polygon, blob or blade with a material, shaded as a dome, above its own shadow.
struct Leaf {
  float x, y, radius;
  float aspect = 1;    ///< short axis over long
  float angle = 0;     ///< of the long axis
  int sides = 0;       ///< of a polygon; 0 = round
  float wobble = 0;    ///< irregularity of the outline
  float dome = .5f;    ///< 0 flat, 1 a ball
  float gloss = 0;     ///< strength of the highlight
  float shadow = .5f;  ///< darkness of the shadow it throws
  uint32_t seed = 0;   ///< of the outline
};
void paint_leaf(Canvas& canvas, const Leaf& leaf, const Material& material, const Light& light);

/// Gaussian blur by three box blurs.
void blur(Canvas& canvas, float sigma);

/// A radius from the power law r⁻³ on [low, high]: what makes dead leaves scale-invariant.
float draw_radius(Random& random, float low, float high);

}  // namespace telltale
