#include "data/painters/blend.h"

#include <algorithm>
#include <array>

#include "base/check.h"

namespace telltale {
namespace {

constexpr std::array<const char*, 3> kNames = {"hard", "feather", "poisson"};

/// What must be added to the fill so that it meets the photograph: known at the hole's border, harmonic in it.
Picture correction(const Picture& photo, const Picture& fill, const Grey& mask, bool goes_on) {
  Picture add(photo.width, photo.height);
  Grey wanted = mask;
  const auto hole = [&](int x, int y) {
    return x >= 0 && y >= 0 && x < mask.width && y < mask.height &&
           mask.pixels[size_t(y) * size_t(mask.width) + size_t(x)] >= 128;
  };
  for (int y = 0; y < mask.height; ++y)
    for (int x = 0; x < mask.width; ++x) {
      if (hole(x, y)) continue;
      float beyond[3] = {0, 0, 0};
      int beside = 0;
      for (const auto& [dx, dy] : {std::array{1, 0}, {-1, 0}, {0, 1}, {0, -1}}) {
        if (!hole(x + dx, y + dy)) continue;
        ++beside;
        for (int c = 0; c < 3; ++c) beyond[c] += fill.at(x + dx, y + dy)[c];
      }
      if (beside == 0) {  // no neighbour in the hole looks here
        wanted.pixels[size_t(y) * size_t(mask.width) + size_t(x)] = 1;
        continue;
      }
      for (int c = 0; c < 3; ++c)
        add.at(x, y)[c] = photo.at(x, y)[c] - (goes_on ? fill.at(x, y)[c] : beyond[c] / float(beside));
    }
  fill_harmonic(add, wanted);
  return add;
}

}  // namespace

std::vector<std::string> blend_names() { return {kNames.begin(), kNames.end()}; }

Blend blend_named(const std::string& name) {
  for (size_t i = 0; i < kNames.size(); ++i)
    if (name == kNames[i]) return Blend(i);
  throw UsageError(cat("unknown blend '", name, "': known are hard, feather, poisson"));
}

std::string name_of(Blend blend) { return kNames[size_t(blend)]; }

Picture blend(const Picture& photo, const Picture& fill, const Grey& mask, Blend how, double feather, bool goes_on) {
  TT_CHECK(fill.width == photo.width && fill.height == photo.height && mask.width == photo.width &&
               mask.height == photo.height,
           ShapeError, "blend: photo ", photo.width, "x", photo.height, ", fill ", fill.width, "x", fill.height,
           ", mask ", mask.width, "x", mask.height, ": sizes differ");
  const bool everything = std::all_of(mask.pixels.begin(), mask.pixels.end(), [](uint8_t v) { return v >= 128; });
  Picture add;
  if (how == Blend::poisson && !everything) add = correction(photo, fill, mask, goes_on);
  std::vector<float> depth;
  if (how == Blend::feather) depth = depth_in_hole(mask);
  Picture out = photo;
  for (size_t i = 0; i < mask.pixels.size(); ++i) {
    if (mask.pixels[i] < 128) continue;
    const float share = how == Blend::feather ? std::min(1.0f, depth[i] / float(feather + 1)) : 1.0f;
    for (size_t k = 3 * i; k < 3 * i + 3; ++k) {
      const float painted = add.rgb.empty() ? fill.rgb[k] : fill.rgb[k] + add.rgb[k];
      out.rgb[k] = share == 1 ? painted : photo.rgb[k] + share * (painted - photo.rgb[k]);
    }
  }
  return out;
}

}  // namespace telltale
