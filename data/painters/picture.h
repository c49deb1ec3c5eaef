#pragma once
// Pictures that are worked on: floats, so that nothing is rounded between the steps.
#include <vector>

#include "data/image.h"

namespace telltale {

/// Height·width·3 floats, black 0 and white 1, row-major without padding.
struct Picture {
  int width = 0, height = 0;
  std::vector<float> rgb;
  Picture() = default;
  Picture(int w, int h, float value = 0) : width(w), height(h), rgb(size_t(w) * size_t(h) * 3, value) {}
  float* at(int x, int y) { return rgb.data() + (size_t(y) * size_t(width) + size_t(x)) * 3; }
  const float* at(int x, int y) const { return rgb.data() + (size_t(y) * size_t(width) + size_t(x)) * 3; }
  bool operator==(const Picture&) const = default;
};

/// Levels divided by 255; to_image gives the same image back.
Picture to_picture(const Image& image);
/// Rounded to the nearest level; values outside [0, 1] are clamped.
Image to_image(const Picture& picture);

/// Gaussian blur of standard deviation `sigma` pixels (0: unchanged), the edge repeated beyond the picture.
Picture gaussian_blur(const Picture& picture, double sigma);

/// For each pixel of the hole (mask ≥ 128) the Euclidean distance of its centre to that of the nearest pixel outside
/// it, 0 outside; 1e6 where there is none. Exact (Felzenszwalb and Huttenlocher 2012).
std::vector<float> depth_in_hole(const Grey& mask);

/// Replaces the hole (mask ≥ 128) by the harmonic interpolation of what surrounds it: every pixel the mean of its four
/// neighbours, none flowing over the picture's edge; coarse to fine, to about a level. Mid-grey when all is hole. Mask
/// values from 1 to 127: neither known nor to be filled, and not beside the hole.
void fill_harmonic(Picture& picture, const Grey& mask);

}  // namespace telltale
