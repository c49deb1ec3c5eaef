#pragma once
// A convolution over a batch as two over its halves: for tensors larger than a library's indices.
#include <algorithm>
#include <cstdint>
#include <limits>
#include <utility>

#include "kernels/conv/conv.h"

namespace telltale {

/// More elements than 31 bits count in any tensor of the batch, and a batch to divide.
inline bool needs_halves(const Tensor& x, const Tensor& y) {
  return x.shape.n > 1 && std::max(x.shape.numel(), y.shape.numel()) > std::numeric_limits<int32_t>::max();
}

/// Images [first, end) of a batch; nothing of what is not there.
inline Tensor images_of(Tensor t, int first, int end) {
  if (!t) return t;
  t.data = t.as<char>() + size_t(t.shape.numel() / t.shape.n * first) * size_of(t.dtype);
  t.shape.n = end - first;
  return t;
}

inline std::pair<ConvArgs, ConvArgs> halves_of(const ConvArgs& a) {
  const auto part = [&](int first, int end) {
    ConvArgs p = a;
    for (Tensor* t : {&p.x, &p.residual, &p.y}) *t = images_of(*t, first, end);
    return p;
  };
  return {part(0, a.x.shape.n / 2), part(a.x.shape.n / 2, a.x.shape.n)};
}

/// The second adds its dw and dbias to the first's.
inline std::pair<ConvGradArgs, ConvGradArgs> halves_of(const ConvGradArgs& a) {
  const auto part = [&](int first, int end) {
    ConvGradArgs p = a;
    for (Tensor* t : {&p.x, &p.dy, &p.dx}) *t = images_of(*t, first, end);
    return p;
  };
  std::pair parts{part(0, a.x.shape.n / 2), part(a.x.shape.n / 2, a.x.shape.n)};
  if (a.dw_mode != GradMode::ignore) parts.second.dw_mode = GradMode::accumulate;
  return parts;
}

}  // namespace telltale
