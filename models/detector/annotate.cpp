#include "models/detector/annotate.h"

#include <fmt/format.h>

#include <algorithm>

#include "data/draw.h"

namespace telltale {

void annotate(Image& image, bool fake, double probability, const Box& box) {
  constexpr Colour kRed{220, 30, 30}, kGreen{30, 130, 60}, kWhite{255, 255, 255};
  const int side = std::min(image.width, image.height);
  if (fake) draw_rectangle(image, box, kRed, std::max(1, side / 100));
  const std::string text =
      fmt::format("{} {:.0f}%", fake ? "FAKE" : "REAL", 100 * (fake ? probability : 1 - probability));
  draw_text(image, 0, 0, text, kWhite, fake ? kRed : kGreen, std::max(1, side / 150));
}

}  // namespace telltale
