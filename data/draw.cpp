#include "data/draw.h"

#include <algorithm>
#include <cctype>
#include <cmath>

namespace telltale {

namespace {

constexpr int kWide = 5, kTall = 7;

struct Glyph {
  char letter;
  std::array<uint8_t, kTall> rows;  // bit 4 is the left column
};

constexpr Glyph kFont[] = {
    {'0', {14, 17, 19, 21, 25, 17, 14}}, {'1', {4, 12, 4, 4, 4, 4, 14}},      {'2', {14, 17, 1, 2, 4, 8, 31}},
    {'3', {31, 2, 4, 2, 1, 17, 14}},     {'4', {2, 6, 10, 18, 31, 2, 2}},     {'5', {31, 16, 30, 1, 1, 17, 14}},
    {'6', {6, 8, 16, 30, 17, 17, 14}},   {'7', {31, 1, 2, 4, 8, 8, 8}},       {'8', {14, 17, 17, 14, 17, 17, 14}},
    {'9', {14, 17, 17, 15, 1, 2, 12}},   {'A', {14, 17, 17, 31, 17, 17, 17}}, {'B', {30, 17, 17, 30, 17, 17, 30}},
    {'C', {14, 17, 16, 16, 16, 17, 14}}, {'D', {28, 18, 17, 17, 17, 18, 28}}, {'E', {31, 16, 16, 30, 16, 16, 31}},
    {'F', {31, 16, 16, 30, 16, 16, 16}}, {'G', {14, 17, 16, 23, 17, 17, 15}}, {'H', {17, 17, 17, 31, 17, 17, 17}},
    {'I', {14, 4, 4, 4, 4, 4, 14}},      {'J', {7, 2, 2, 2, 2, 18, 12}},      {'K', {17, 18, 20, 24, 20, 18, 17}},
    {'L', {16, 16, 16, 16, 16, 16, 31}}, {'M', {17, 27, 21, 21, 17, 17, 17}}, {'N', {17, 17, 25, 21, 19, 17, 17}},
    {'O', {14, 17, 17, 17, 17, 17, 14}}, {'P', {30, 17, 17, 30, 16, 16, 16}}, {'Q', {14, 17, 17, 17, 21, 18, 13}},
    {'R', {30, 17, 17, 30, 20, 18, 17}}, {'S', {15, 16, 16, 14, 1, 1, 30}},   {'T', {31, 4, 4, 4, 4, 4, 4}},
    {'U', {17, 17, 17, 17, 17, 17, 14}}, {'V', {17, 17, 17, 17, 17, 10, 4}},  {'W', {17, 17, 17, 21, 21, 21, 10}},
    {'X', {17, 17, 10, 4, 10, 17, 17}},  {'Y', {17, 17, 17, 10, 4, 4, 4}},    {'Z', {31, 1, 2, 4, 8, 16, 31}},
    {'%', {24, 25, 2, 4, 8, 19, 3}},     {'.', {0, 0, 0, 0, 0, 12, 12}},      {'-', {0, 0, 0, 31, 0, 0, 0}},
    {'+', {0, 4, 4, 31, 4, 4, 0}},       {':', {0, 12, 12, 0, 12, 12, 0}},    {'/', {0, 1, 2, 4, 8, 16, 0}},
    {'(', {2, 4, 8, 8, 8, 4, 2}},        {')', {8, 4, 2, 2, 2, 4, 8}},        {'_', {0, 0, 0, 0, 0, 0, 31}},
    {'=', {0, 0, 31, 0, 31, 0, 0}},      {',', {0, 0, 0, 0, 12, 4, 8}},
};

const Glyph* glyph_of(char letter) {
  const char capital = char(std::toupper(static_cast<unsigned char>(letter)));
  for (const Glyph& glyph : kFont)
    if (glyph.letter == capital) return &glyph;
  return nullptr;
}

void fill(Image& image, const Box& box, Colour colour) {
  const Box b = intersect(box, {0, 0, image.width, image.height});
  for (int y = b.y_min; y < b.y_max; ++y)
    for (int x = b.x_min; x < b.x_max; ++x) std::copy_n(colour.data(), 3, image.at(x, y));
}

}  // namespace

void draw_rectangle(Image& image, const Box& b, Colour colour, int thickness) {
  if (b.empty()) return;
  const int tx = std::min(thickness, b.width()), ty = std::min(thickness, b.height());
  fill(image, {b.x_min, b.y_min, b.x_max, b.y_min + ty}, colour);
  fill(image, {b.x_min, b.y_max - ty, b.x_max, b.y_max}, colour);
  fill(image, {b.x_min, b.y_min, b.x_min + tx, b.y_max}, colour);
  fill(image, {b.x_max - tx, b.y_min, b.x_max, b.y_max}, colour);
}

void draw_text(Image& image, int x, int y, std::string_view text, Colour colour, Colour background, int scale) {
  if (text.empty()) return;
  // One dot of margin around, one between letters.
  const int width = (int(text.size()) * (kWide + 1) + 1) * scale, height = (kTall + 2) * scale;
  x = std::max(0, std::min(x, image.width - width));
  y = std::max(0, std::min(y, image.height - height));
  fill(image, {x, y, x + width, y + height}, background);
  for (size_t i = 0; i < text.size(); ++i) {
    const Glyph* glyph = glyph_of(text[i]);
    if (!glyph) continue;
    const int left = x + (int(i) * (kWide + 1) + 1) * scale, top = y + scale;
    for (int r = 0; r < kTall; ++r)
      for (int c = 0; c < kWide; ++c)
        if (glyph->rows[r] >> (kWide - 1 - c) & 1)
          fill(image, {left + c * scale, top + r * scale, left + (c + 1) * scale, top + (r + 1) * scale}, colour);
  }
}

void blend_heat(uint8_t* rgb, float value) {
  const float share = 0.65f * std::clamp((value - 0.25f) / 0.5f, 0.0f, 1.0f);
  const float green = 230 * (1 - std::clamp((value - 0.5f) / 0.5f, 0.0f, 1.0f));
  const float colour[] = {255, green, 0};
  for (int c = 0; c < 3; ++c) rgb[c] = uint8_t(std::lround(float(rgb[c]) * (1 - share) + colour[c] * share));
}

}  // namespace telltale
