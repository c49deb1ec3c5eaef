#pragma once
// Layers of a convolutional decoder with weights drawn at random: what the painter "decoder" is made of.
#include <vector>

#include "data/painters/picture.h"
#include "kernels/device/philox.h"

namespace telltale {

/// channels planes of height × width floats.
struct Maps {
  int channels = 0, height = 0, width = 0;
  std::vector<float> values;
  Maps() = default;
  Maps(int c, int h, int w) : channels(c), height(h), width(w), values(size_t(c) * size_t(h) * size_t(w)) {}
  float* row(int c, int y) { return values.data() + (size_t(c) * size_t(height) + size_t(y)) * size_t(width); }
  const float* row(int c, int y) const {
    return values.data() + (size_t(c) * size_t(height) + size_t(y)) * size_t(width);
  }
};

/// The ways in which generators double the size of their maps.
enum class Enlarging { nearest, bilinear, transposed, shuffled };
inline constexpr int kEnlargings = 4;

/// Every plane to mean 0 and variance 1; a constant one to 0.
void normalise(Maps&);

/// A 3 × 3 convolution with drawn weights, normalised; half of the channels then pass a leaky ReLU. What lies beyond
/// the edge repeats it.
Maps mixed(const Maps&, int channels, Random&);

/// Twice as high and wide: nearest or bilinear and `mixed`, a transposed convolution of 2 to 5 pixels, or a convolution
/// whose channels are shuffled into pixels.
Maps enlarged(const Maps&, int channels, Enlarging, Random&);

/// The picture that a last 3 × 3 convolution makes of maps, its weights fitted to `target` by least squares (a ridge of
/// a thousandth) over at most some thousand of its pixels. Maps must be at least as large as the target; what lies
/// beyond it is cut off.
Picture fitted(const Maps&, const Picture& target);

}  // namespace telltale
