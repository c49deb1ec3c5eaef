#include "data/mask.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <utility>

#include "base/check.h"
#include "base/hash.h"
#include "data/mask_shapes.h"
#include "kernels/device/philox.h"

namespace telltale {
namespace {

constexpr std::array<std::pair<const char*, MaskLaw>, 10> kLaws = {{{"paper", MaskLaw::paper},
                                                                    {"boxes", MaskLaw::boxes},
                                                                    {"brush", MaskLaw::brush},
                                                                    {"mixed", MaskLaw::mixed},
                                                                    {"rectangle", MaskLaw::rectangle},
                                                                    {"polygon", MaskLaw::polygon},
                                                                    {"stroke", MaskLaw::stroke},
                                                                    {"several", MaskLaw::several},
                                                                    {"object", MaskLaw::object},
                                                                    {"any", MaskLaw::any}}};
constexpr double kSmallest = .005, kLargest = .4;

Box paper_box(int width, int height, Random& random) {
  const int x_min = int(random.integer(0, 199)), x_max = int(random.integer(x_min + 55, 254));
  const int y_min = int(random.integer(0, 199)), y_max = int(random.integer(y_min + 55, 254));
  const auto scaled = [](int v, int size) { return int((int64_t(v) * size + 128) / 256); };
  return {scaled(x_min, width), scaled(y_min, height), scaled(x_max, width), scaled(y_max, height)};
}

Box deepfill_box(int width, int height, Random& random) {
  const int w = width / 2, h = height / 2;
  const int x = int(random.integer(0, width - w)), y = int(random.integer(0, height - h));
  const int inset_x = int(random.integer(0, width / 16)), inset_y = int(random.integer(0, height / 16));
  return {x + inset_x, y + inset_y, x + w - inset_x, y + h - inset_y};
}

/// One stroke (Yu et al. 2019, algorithm 1): 4 to 12 vertices that turn back and forth by about 2π/5, steps of about an
/// eighth of the diagonal, a brush of 12 to 40 pixels at 256 × 256.
void draw_stroke(Grey& mask, Random& random) {
  using std::numbers::pi;
  constexpr double kTurn = 2 * pi / 5, kTurnRange = 2 * pi / 15;
  const double step = std::hypot(mask.width, mask.height) / 8,
               scale = std::sqrt(double(mask.width) * mask.height) / 256;
  const int vertices = int(random.integer(4, 12));
  const double least = kTurn - random.uniform(0, kTurnRange), most = kTurn + random.uniform(0, kTurnRange);
  const double radius = std::max(0.75, random.uniform(12, 40) * scale / 2);
  Point at{random.uniform(0, mask.width), random.uniform(0, mask.height)};
  for (int i = 0; i < vertices; ++i) {
    const double turn = random.uniform(least, most), angle = i % 2 ? turn : 2 * pi - turn;
    const double length = std::clamp(step + step / 2 * random.normal(), 0.0, 2 * step);
    const Point next{std::clamp(at.x + length * std::cos(angle), 0.0, double(mask.width)),
                     std::clamp(at.y + length * std::sin(angle), 0.0, double(mask.height))};
    draw_segment(mask, at, next, radius);
    at = next;
  }
}

void mirror(Grey& mask, bool left_right, bool up_down) {
  for (int y = 0; left_right && y < mask.height; ++y) {
    const auto row = mask.pixels.begin() + ptrdiff_t(y) * mask.width;
    std::reverse(row, row + mask.width);
  }
  if (!up_down) return;
  for (int y = 0; y < mask.height / 2; ++y) {
    const auto upper = mask.pixels.begin() + ptrdiff_t(y) * mask.width;
    std::swap_ranges(upper, upper + mask.width, mask.pixels.begin() + ptrdiff_t(mask.height - 1 - y) * mask.width);
  }
}

Grey free_form(int width, int height, Random& random) {
  Grey mask(width, height);
  for (int64_t strokes = random.integer(1, 3); strokes > 0; --strokes) draw_stroke(mask, random);
  const bool left_right = random.uniform() < 0.5, up_down = random.uniform() < 0.5;
  mirror(mask, left_right, up_down);
  const Grey box = rasterise(deepfill_box(width, height, random), width, height);
  for (size_t i = 0; i < mask.pixels.size(); ++i) mask.pixels[i] |= box.pixels[i];
  return mask;
}

/// One shape of a drawn area within the bounds; `photo` may be null for laws that do not look at it.
Grey draw_shape(MaskLaw law, int width, int height, const Image* photo, AreaBounds bounds, Random& random) {
  const double low = std::clamp(bounds.low, kSmallest, kLargest), high = std::clamp(bounds.high, low, kLargest);
  const double area = low * std::pow(high / low, random.uniform());
  switch (law) {
    case MaskLaw::rectangle: return random_rectangle(width, height, area, random);
    case MaskLaw::polygon: return random_polygon(width, height, area, random);
    case MaskLaw::stroke: return random_stroke(width, height, area, random);
    default: return random_object(*photo, area, random);
  }
}

Grey draw_several(int width, int height, const Image* photo, AreaBounds bounds, Random& random) {
  const int count = int(random.integer(2, 4));
  const double high = std::min(bounds.high, kLargest) / count;
  Grey mask(width, height);
  for (int k = 0; k < count; ++k) {
    const auto law = MaskLaw(int(MaskLaw::rectangle) + int(random.integer(0, photo ? 3 : 2)));
    const MaskLaw shape = law == MaskLaw::several ? MaskLaw::object : law;
    const Grey one = draw_shape(shape, width, height, photo, {std::min(bounds.low / count, high), high}, random);
    for (size_t i = 0; i < mask.pixels.size(); ++i) mask.pixels[i] |= one.pixels[i];
  }
  return mask;
}

Grey draw(MaskLaw law, int width, int height, const Image* photo, AreaBounds bounds, Random& random) {
  if (law == MaskLaw::any) {
    law = MaskLaw(int(MaskLaw::rectangle) + int(random.integer(0, 4)));
    if (law == MaskLaw::several) return draw_several(width, height, photo, bounds, random);
  }
  if (law == MaskLaw::several) return draw_several(width, height, nullptr, bounds, random);
  if (law > MaskLaw::mixed) return draw_shape(law, width, height, photo, bounds, random);
  if (law == MaskLaw::mixed) law = kLaws[size_t(random.integer(0, 2))].second;
  switch (law) {
    case MaskLaw::boxes: return rasterise(deepfill_box(width, height, random), width, height);
    case MaskLaw::brush: return free_form(width, height, random);
    default: return rasterise(paper_box(width, height, random), width, height);
  }
}

Grey draw_within(MaskLaw law, int width, int height, const Image* photo, uint64_t seed, const std::string& id,
                 AreaBounds bounds) {
  TT_CHECK(width >= 8 && height >= 8, ShapeError, "a mask for ", width, "x", height, ": expected at least 8x8");
  Random random(seed, fnv1a(id));
  for (int attempt = 0; attempt < 1000; ++attempt) {
    Grey mask = draw(law, width, height, photo, bounds, random);
    const double share = area_share(mask);
    if (share > 0 && share >= bounds.low && share <= bounds.high) return mask;
  }
  throw UsageError(cat("mask law ", name_of(law), ": none of 1000 masks covered ", bounds.low, " to ", bounds.high,
                       " of the image: widen the bounds"));
}

}  // namespace

std::vector<std::string> mask_law_names(bool with_photo) {
  std::vector<std::string> names;
  names.reserve(std::size(kLaws));
  for (const auto& [name, law] : kLaws)
    if (with_photo || !looks_at_photo(law)) names.emplace_back(name);
  return names;
}

bool looks_at_photo(MaskLaw law) { return law == MaskLaw::object || law == MaskLaw::any; }

MaskLaw mask_law(const std::string& name) {
  std::string known;
  for (const auto& [n, law] : kLaws) {
    if (name == n) return law;
    known += (known.empty() ? "" : ", ") + std::string(n);
  }
  throw UsageError(cat("unknown mask law '", name, "': known are ", known));
}

std::string name_of(MaskLaw law) {
  return std::find_if(kLaws.begin(), kLaws.end(), [&](const auto& l) { return l.second == law; })->first;
}

Grey draw_mask(MaskLaw law, int width, int height, uint64_t seed, const std::string& id, AreaBounds bounds) {
  TT_CHECK(!looks_at_photo(law), UsageError, "mask law ", name_of(law), " looks at the photograph, and here is none");
  return draw_within(law, width, height, nullptr, seed, id, bounds);
}

Grey draw_mask(MaskLaw law, const Image& photo, uint64_t seed, const std::string& id, AreaBounds bounds) {
  return draw_within(law, photo.width, photo.height, looks_at_photo(law) ? &photo : nullptr, seed, id, bounds);
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

double area_share(const Grey& mask) {
  const auto holes = std::count_if(mask.pixels.begin(), mask.pixels.end(), [](uint8_t v) { return v >= 128; });
  return mask.pixels.empty() ? 0 : double(holes) / double(mask.pixels.size());
}

}  // namespace telltale
