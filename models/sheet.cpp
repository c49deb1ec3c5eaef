#include "models/sheet.h"

#include <algorithm>

#include "base/check.h"
#include "data/draw.h"

namespace telltale {
namespace {

constexpr int kGap = 4, kLine = 10;
constexpr Colour kInk{40, 40, 40}, kPaper{255, 255, 255};

void paste(const Image& from, Image& to, int x, int y) {
  for (int row = 0; row < from.height; ++row) std::copy_n(from.at(0, row), size_t(from.width) * 3, to.at(x, y + row));
}

}  // namespace

Image with_hole(const Image& photo, const Grey& mask) {
  TT_CHECK(photo.width == mask.width && photo.height == mask.height, ShapeError, "with_hole: a photograph of ",
           photo.width, "x", photo.height, " under a mask of ", mask.width, "x", mask.height);
  Image image = photo;
  for (size_t i = 0; i < mask.pixels.size(); ++i) {
    if (mask.pixels[i] >= 128) std::fill_n(image.rgb.begin() + ptrdiff_t(i * 3), 3, uint8_t(255));
  }
  return image;
}

Image contact_sheet(const std::vector<std::string>& titles, const std::vector<std::vector<Image>>& rows,
                    const std::string& caption) {
  TT_CHECK(!rows.empty() && !rows[0].empty(), ShapeError, "contact_sheet: no pictures");
  const int width = rows[0][0].width, height = rows[0][0].height;
  const int head = 2 + kLine * (caption.empty() ? 1 : 2);
  Image sheet(int(titles.size()) * (width + kGap) + kGap, head + int(rows.size()) * (height + kGap));
  std::fill(sheet.rgb.begin(), sheet.rgb.end(), uint8_t(255));
  const auto left = [&](size_t column) { return kGap + int(column) * (width + kGap); };
  for (size_t k = 0; k < titles.size(); ++k) draw_text(sheet, left(k), 2, titles[k], kInk, kPaper, 1);
  draw_text(sheet, kGap, 2 + kLine, caption, kInk, kPaper, 1);
  for (size_t r = 0; r < rows.size(); ++r) {
    TT_CHECK(rows[r].size() <= titles.size(), ShapeError, "contact_sheet: row ", r, " has ", rows[r].size(),
             " pictures under ", titles.size(), " titles");
    for (size_t k = 0; k < rows[r].size(); ++k) {
      const Image& cell = rows[r][k];
      TT_CHECK(cell.width == width && cell.height == height, ShapeError, "contact_sheet: a picture of ", cell.width,
               "x", cell.height, " among those of ", width, "x", height);
      paste(cell, sheet, left(k), head + int(r) * (height + kGap));
    }
  }
  return sheet;
}

}  // namespace telltale
