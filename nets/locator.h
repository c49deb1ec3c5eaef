#pragma once
// Nets that look at every pixel.
#include "engine/graph.h"

namespace telltale {

struct LocatorSettings {
  int width = 16;         ///< channels at half resolution; twice and four times as many below
  bool residuals = true;  ///< the picture's high-pass residuals beside its colours
  bool bayar = false;     ///< and those of three learnt filters under Bayar's constraint
};
/// An encoder at strides 2, 4 and 8 with skips to a small decoder. x {N,H,W,3}: pictures from 0 to 255, H and W
/// multiples of 8. Returns logits of "painted" {N,H/2,W/2,1}. Parameters: enc{2,4,8}.{i}.{conv,bn}, dec{4,2}.{conv,bn},
/// head, bayar.
Value locator(Graph&, Value x, const LocatorSettings& = {});

/// The same decoder behind ResNet-18 (nets/nets.h) up to its third stage, for those who have ImageNet weights; they go
/// with width 64. x {N,H,W,3} as detectors take it, H and W multiples of 8. Returns logits of "painted" {N,H/2,W/2,1}.
/// Parameters: those of resnet18 under its names (kResnetLocatorEncoder), dec{4,2}.{conv,bn}, head.
Value resnet18_locator(Graph&, Value x, int width = 64);
/// Its layers that ImageNet weights fill.
inline constexpr const char* kResnetLocatorEncoder[] = {"conv1", "bn1", "layer1", "layer2", "layer3"};

}  // namespace telltale
