#include "data/mask.h"

#include "data/hash.h"
#include "kernels/core/check.h"
#include "kernels/core/philox.h"

namespace telltale {

MaskLaw mask_law(const std::string& name) {
  if (name == "paper") return MaskLaw::paper;
  throw UsageError(cat("unknown mask law '", name, "': known is paper"));
}

std::string name_of(MaskLaw) { return "paper"; }

Box draw_box(MaskLaw, int width, int height, uint64_t seed, const std::string& id) {
  TT_CHECK(width >= 8 && height >= 8, ShapeError, "a mask for ", width, "x", height, ": expected at least 8x8");
  Random random(seed, fnv1a(id));
  const int x_min = int(random.integer(0, 199)), x_max = int(random.integer(x_min + 55, 254));
  const int y_min = int(random.integer(0, 199)), y_max = int(random.integer(y_min + 55, 254));
  const auto scaled = [](int v, int size) { return int((int64_t(v) * size + 128) / 256); };
  return {scaled(x_min, width), scaled(y_min, height), scaled(x_max, width), scaled(y_max, height)};
}

Grey rasterise(const Box& box, int width, int height) {
  Grey mask(width, height);
  const Box b = intersect(box, {0, 0, width, height});
  for (int y = b.y_min; y < b.y_max; ++y)
    for (int x = b.x_min; x < b.x_max; ++x) mask.pixels[size_t(y) * width + x] = 255;
  return mask;
}

Box bounds_of(const Grey& mask) {
  Box b{mask.width, mask.height, 0, 0};
  for (int y = 0; y < mask.height; ++y)
    for (int x = 0; x < mask.width; ++x)
      if (mask.pixels[size_t(y) * mask.width + x] >= 128)
        b = {std::min(b.x_min, x), std::min(b.y_min, y), std::max(b.x_max, x + 1), std::max(b.y_max, y + 1)};
  return b.empty() ? Box{} : b;
}

}  // namespace telltale
