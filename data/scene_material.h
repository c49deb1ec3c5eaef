#pragma once
// Surfaces of the procedural scenes (scenes.h): colours in linear light, noise and textures.
#include <cstdint>

#include "kernels/device/philox.h"

namespace telltale {

/// Linear light; 1 is white.
struct Rgb {
  float r = 0, g = 0, b = 0;
  Rgb operator*(float k) const { return {r * k, g * k, b * k}; }
  Rgb operator*(const Rgb& o) const { return {r * o.r, g * o.g, b * o.b}; }
  Rgb operator+(const Rgb& o) const { return {r + o.r, g + o.g, b + o.b}; }
};
inline Rgb mix(const Rgb& a, const Rgb& b, float t) { return a * (1 - t) + b * t; }
/// 0 below `low`, 1 above `high`, smooth between.
float smooth_step(float low, float high, float x);
/// Hue in turns, saturation and value in [0,1], taken as sRGB and returned in linear light.
Rgb from_hsv(float hue, float saturation, float value);

/// Gradient noise (Perlin 1985) over the plane, one feature a unit.
class Noise {
 public:
  explicit Noise(uint32_t seed = 0) : seed_(seed) {}
  /// About [-1, 1].
  float at(float x, float y) const;
  /// Octaves of halving size and amplitude: a 1/f field. About [-1, 1].
  float fractal(float x, float y, int octaves) const;

 private:
  float corner(int ix, int iy, float dx, float dy) const;
  uint32_t seed_;
};

/// A few hues that belong together: photographs are muted, and dark more often than light.
class Palette {
 public:
  explicit Palette(Random& random);
  /// One hue and its neighbours: a meadow's, a tree's.
  static Palette around(Random& random, double hue, double saturation);
  Rgb draw(Random& random) const;

 private:
  float hues_[3], saturation_;
};

/// A flat texture: its colour at a point, in pixels of the scene's surface.
class Material {
 public:
  enum class Kind { plain, cloud, weave, brick, wood, speckle };
  static Material draw(Random& random, const Palette& palette, Kind kind, float scale);
  /// Any kind but brick.
  static Material draw(Random& random, const Palette& palette, float scale);
  Rgb at(float x, float y) const;

 private:
  Kind kind_ = Kind::plain;
  Rgb base_, second_;
  int octaves_ = 5;
  float scale_ = 1, cosine_ = 1, sine_ = 0, contrast_ = 0;
  Noise noise_;
};

}  // namespace telltale
