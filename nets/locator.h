#pragma once
// The net that looks at every pixel.
#include "engine/graph.h"

namespace telltale {

struct LocatorSettings {
  int width = 16;         ///< channels at half resolution; twice and four times as many below
  bool residuals = true;  ///< the picture's high-pass residuals beside its colours
};
/// An encoder at strides 2, 4 and 8 with skips to a small decoder. x {N,H,W,3}: pictures from 0 to 255, H and W
/// multiples of 8. Returns logits of "painted" {N,H/2,W/2,1}. Parameters: enc{2,4,8}.{i}.{conv,bn}, dec{4,2}.{conv,bn},
/// head.
Value locator(Graph&, Value x, const LocatorSettings& = {});

}  // namespace telltale
