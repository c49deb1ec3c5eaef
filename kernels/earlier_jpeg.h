#pragma once
// Traces of a JPEG that the picture was before it was cut or shifted: its blocks lie on another grid than today's.
#include "kernels/device/dispatch.h"

namespace telltale {

inline constexpr int kEarlierTraces = 8;          ///< channels of earlier_jpeg
inline constexpr int kLowestEarlierQuality = 40;  ///< of those tried, by twos
inline constexpr int kEarlierQualities = 28;
inline constexpr int kEarlierHighest = 6;      ///< frequencies u, v with 1 ≤ u + v ≤ 6 are looked at
inline constexpr int kLeastEarlierStep = 5;    ///< finer steps are lost when the picture is saved again
inline constexpr int kMostEarlierSize = 80;    ///< larger coefficients are not counted
inline constexpr int kAllCounted = 1024;       ///< blocks; of larger pictures every other row of blocks is counted
inline constexpr int kLeastEarlierCount = 64;  ///< fewer are no evidence

/// The luma step of the quantisation table of the JPEG standard (Annex K) at `quality` 1 to 100, scaled as the
/// Independent JPEG Group does; u vertical, v horizontal, 0 to 7.
int earlier_step(int quality, int u, int v);

/// Finds, in each picture of x {N,H,W,3} (0 to 255, any floating-point type, H and W multiples of 8), the grid and the
/// quality of an earlier JPEG, and says for each block of 8×8 how well its coefficients keep to that quality's steps.
/// Where something was painted since, they do not. Off today's grid the earlier steps outlive a later JPEG of higher
/// quality; on it they are for coefficient_history.
///
/// c(a, b, f): block_coefficients of the picture from pixel a = (ay, ax) on, 0 ≤ ay, ax < 8, whole blocks b only.
/// t(q, f): steps of quality q = 40, 42 … 94; those below 5 do not count. Coefficients are counted by magnitude in bins
/// of a half up to 80, each shared between its two nearest bins in proportion; of pictures of more than kAllCounted
/// blocks, those of every other row of blocks, the first one's on. Over bins m ≥ .6 t with counts h,
///   evidence(a, q) = √(2 / n) Σ h cos(2π m / t),  n = Σ h;  0 where n < 64
/// in standard deviations of chance. The earlier grid and quality are those of the most evidence off today's grid (the
/// first of equals; a in rows, then q), and gate = clamp((evidence − that of the next best grid − 1) / 4, 0, 1).
///
/// y {N,H/8,W/8,C} gets channels [first, first + 8). With x = c / t of the earlier block that begins −3 to 4 pixels off
/// (rows and columns) today's, and w = clamp(4 |x| − 2, 0, 1):
///   0, 1  Σ w cos(2πx) / 4, Σ w / 4 over u + v ≤ 3       2, 3  the same over u + v ≥ 4
///   4     Σ (1 − w) cos(2πx) / (1 + Σ (1 − w))
///   5, 6  2 Σ w cos(2πx) / (2 + Σ w) over all frequencies and the 3×3, 7×7 blocks around
///   7     1
/// all times the gate; blocks outside the picture add nothing. The traces are constants of the picture. ShapeError
/// where shapes do not fit. The principle, grids' quantisation as evidence: Bianchi and Piva 2012, "Image forgery
/// localization via block-grained analysis of JPEG artifacts".
void earlier_jpeg(Stream&, Tensor x, Tensor y, int first);

}  // namespace telltale
