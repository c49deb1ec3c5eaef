#pragma once
// Words the net builders share. Private to nets/.
#include <algorithm>
#include <cmath>

#include "engine/layers.h"
#include "nets/nets.h"

namespace telltale {

/// channels · width, a multiple of 8 and at least 8, unless width is 1.
inline int scaled(int channels, double width) {
  return width == 1 ? channels : std::max(8, int(std::lround(channels * width / 8)) * 8);
}

inline Value conv(Graph& g, const std::string& name, Value x, const Conv::Settings& s) {
  return g.add<Conv>(name, {x}, s);
}
inline Value relu(Graph& g, const std::string& name, Value x) { return g.add<Activation>(name, {x}, Act::relu); }

}  // namespace telltale
