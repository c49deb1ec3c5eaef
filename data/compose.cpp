#include "data/compose.h"

#include <cmath>

#include "base/check.h"

namespace telltale {

Image compose(const Image& photo, std::span<const float> fill, const Grey& mask) {
  TT_CHECK(mask.width == photo.width && mask.height == photo.height && fill.size() == photo.rgb.size(), ShapeError,
           "compose: photo ", photo.width, "x", photo.height, ", mask ", mask.width, "x", mask.height, ", fill of ",
           fill.size(), " values: sizes differ");
  Image out = photo;
  for (size_t i = 0; i < mask.pixels.size(); ++i) {
    if (mask.pixels[i] == 0) continue;
    for (size_t k = 3 * i; k < 3 * i + 3; ++k) {
      TT_CHECK(!std::isnan(fill[k]), DataError, "compose: the painted value at column ", i % size_t(photo.width),
               ", row ", i / size_t(photo.width), " is not a number");
      out.rgb[k] = uint8_t(std::lround(std::clamp(fill[k], 0.f, 1.f) * 255.f));
    }
  }
  return out;
}

}  // namespace telltale
