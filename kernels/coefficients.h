#pragma once
// Traces of JPEG in a picture: the coefficients of its 8×8 blocks, how large each is, and how usual in this picture.
#include "kernels/device/dispatch.h"
#include "kernels/parts/jpeg_block.h"

namespace telltale {

inline constexpr int kLargestCoefficient = 80;           ///< above it a coefficient has no history
inline constexpr double kFineSpread = 0.5, kSpread = 3;  ///< of the histogram's two smoothings, in coefficients

/// c {N,H/8,W/8,64} = the orthonormal 8×8 DCT of the luma (.299 R + .587 G + .114 B) − 128 of x {N,H,W,3}, pictures
/// from 0 to 255 of any floating-point type, whose blocks begin at their corner. c is of accumulator_of(x's type): 16
/// bits would blur what is looked for. ShapeError unless H and W are multiples of 8.
void block_coefficients(Stream&, Tensor x, Tensor c);

/// y = log(|c| + .5) − .7 into channels [first, first + 64) of y {N,h,w,C}; c {N,h,w,64} is of y's accumulator type.
void log_magnitude(Stream&, Tensor c, Tensor y, int first);

/// How usual a coefficient is in its picture beside its neighbours in size: after quantisation, multiples of the step
/// are. Per sample and frequency, H(v) is the share of coefficients whose magnitude rounds to v ≤ 80 (half to even); p
/// and e are H, half of each H(v > 0) at −v, smoothed by Gaussians of spread .5 and 3 cut at 8 spreads; y is
///   log((p + .02·e + .02/(h·w)) / (e + .02·e + .02/(h·w)))
/// at the coefficient's own v, times .3 at v = 0 and 1, and 0 above 80 and where c is no number. Goes into channels
/// [first, first + 64) of y, as above.
void coefficient_history(Stream&, Tensor c, Tensor y, int first);

}  // namespace telltale
