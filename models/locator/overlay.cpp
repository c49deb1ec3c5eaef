#include "models/locator/overlay.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "data/draw.h"
#include "kernels/parts/math.h"

namespace telltale {
namespace {

constexpr Colour kRed{220, 30, 30}, kGreen{30, 130, 60}, kGrey{90, 90, 90}, kWhite{255, 255, 255};

std::string caption(const Inspection& inspection) {
  const double p = inspection.probability;
  switch (inspection.answer) {
    case Answer::fake: return fmt::format("FAKE {:.0f}%", 100 * p);
    case Answer::real: return fmt::format("REAL {:.0f}%", 100 * (1 - p));
    default: return fmt::format("UNCERTAIN (FAKE {:.0f}%)", 100 * p);
  }
}

}  // namespace

Grey mask_of(const PictureMap& map) {
  Grey mask(map.width, map.height);
  auto to = mask.pixels.begin();
  for (int y = 0; y < map.height; ++y)
    for (int x = 0; x < map.width; ++x) *to++ = uint8_t(std::lround(255 * sigmoid(map.logit(x, y))));
  return mask;
}

void annotate(Image& image, const Inspection& inspection) {
  const PictureMap& map = inspection.map;
  TT_CHECK(image.width == map.width && image.height == map.height, ShapeError, "a map of ", map.width, "x", map.height,
           " on a picture of ", image.width, "x", image.height);
  for (int y = 0; y < map.height; ++y)
    for (int x = 0; x < map.width; ++x) blend_heat(image.at(x, y), sigmoid(map.logit(x, y)));
  const int side = std::min(image.width, image.height);
  if (inspection.answer != Answer::real)
    for (const Region& r : inspection.regions) draw_rectangle(image, r.box, kRed, std::max(1, side / 200));
  const Colour back = inspection.answer == Answer::fake ? kRed : inspection.answer == Answer::real ? kGreen : kGrey;
  draw_text(image, 0, 0, caption(inspection), kWhite, back, std::max(1, side / 150));
}

}  // namespace telltale
