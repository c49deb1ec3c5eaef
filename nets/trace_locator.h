#pragma once
// A locator that looks for traces of how a picture came about, and for places whose traces are not the picture's own.
#include "engine/graph.h"

namespace telltale {

struct TraceLocatorSettings {
  int width = 24;         ///< channels at half resolution; 4/3, 2 and 8/3 as many below, in whole fours
  bool residuals = true;  ///< high-pass residuals of brightness and colour
  bool magnitude = true;  ///< how large the coefficients of 8×8 blocks are
  bool history = true;    ///< how usual they are in their picture
  bool earlier = true;    ///< how well they keep to an earlier JPEG's steps, off today's grid
  bool contrast = true;   ///< features beside their deviation from the picture's own mean
  int scales = 1;         ///< 2: the residuals of the picture at half its size, too: what outlives scaling is coarse
};
/// Three strided stages over residuals and a branch over coefficients, joined at 1/8 in a dilated trunk, refined at
/// 1/4. x {N,H,W,3}: pictures from 0 to 255, H and W multiples of 8, their JPEG blocks, if any, from the corner on.
/// Returns logits of "painted" {N,H/2,W/2,1}; two by two (without residuals four by four) of them are equal.
/// Parameters: p{2,4}.{i}, p8, h4.{i}, h8, d.{i}, t1, t2.{i}, t3.{i}, r.{i} (.conv and .bn each), out8, out4. Throws
/// UsageError where no trace is asked for, or two scales of residuals without residuals.
Value trace_locator(Graph&, Value x, const TraceLocatorSettings& = {});

}  // namespace telltale
