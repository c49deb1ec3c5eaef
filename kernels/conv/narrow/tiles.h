#pragma once
// The inner loops of convolutions with few channels, in f32 and AVX-512. Their file is compiled for that instruction
// set whatever the rest is compiled for, so nothing here may share inline functions with other files.

namespace telltale::narrow {

constexpr int kLanes = 16;       ///< numbers in a vector
constexpr int kMostVectors = 4;  ///< of result channels
constexpr int kPixels = 16;      ///< rows of results are rounded up to this many pixels

/// True where the processor can run the functions below.
bool available();

/// One tap of a filter over a row: the source pixel that the first result reads, and the tap's weights [channel][result
/// channel], the latter padded to whole vectors.
struct Tap {
  const float* x;
  const float* w;
};

/// y[pixel][result channel] = Σ over taps, then channels, of x[pixel][channel] · w[channel][result channel], each sum
/// one chain of fused multiply-adds in that order. `step`: numbers from one pixel of x to the next, one of kSteps; y is
/// {pixels rounded up to kPixels, vectors · kLanes}, and x is readable as far.
void multiply_row(int step, int vectors, int channels, const Tap* taps, int count, int pixels, float* y);
constexpr int kSteps[] = {4, 8, 16, 24, 32, 48, 64};

/// For one to kFew result channels: y[result channel][pixel] of x[channel][pixel], else as multiply_row. x_plane and
/// y_plane: numbers from one channel to the next; weights are [channel][result channel]. y has room for pixels rounded
/// up to kFewPixels, and x is readable as far.
void multiply_few(int results, int channels, long x_plane, const Tap* taps, int count, int pixels, float* y,
                  long y_plane);
constexpr int kFew = 6, kFewPixels = 4 * kLanes;

/// dw[j][channel][result channel] += Σ over pixels of x[j][pixel][channel] · dy[pixel][result channel], added pixel by
/// pixel. x: `sources` rows whose pixels lie `step` numbers apart; dw holds dw_step numbers for
/// each of them. dy is {pixels, vectors · kLanes}. Channels from 1 to step.
void add_gradient(int step, int vectors, int channels, const float* const* x, int sources, const float* dy, int pixels,
                  float* dw, long dw_step);

}  // namespace telltale::narrow
