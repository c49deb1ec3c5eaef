#pragma once
// Shapes that masks are made of, each of about the area asked for: as a share of the picture, from 0 to 1.
#include "data/image.h"
#include "kernels/device/philox.h"

namespace telltale {

struct Point {
  double x, y;
};

/// Fills all pixels whose centre lies within `radius` of the segment: a brush of that size drawn from a to b.
void draw_segment(Grey& mask, Point a, Point b, double radius);

/// A rectangle anywhere, its sides up to three to one.
Grey random_rectangle(int width, int height, double area, Random& random);
/// A polygon of 4 to 9 corners around a point, convex or not.
Grey random_polygon(int width, int height, double area, Random& random);
/// A brush drawn back and forth until the area is covered.
Grey random_stroke(int width, int height, double area, Random& random);
/// What a person would outline: grown from a random pixel over what is alike in colour, not over edges, until the area
/// is reached; smoothed, without holes, up to 3 pixels wider than what it follows.
Grey random_object(const Image& photo, double area, Random& random);

}  // namespace telltale
