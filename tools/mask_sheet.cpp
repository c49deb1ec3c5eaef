// mask_sheet: a picture of what each mask law draws.
#include <CLI/CLI.hpp>

#include "base/args.h"
#include "data/codec.h"
#include "data/draw.h"
#include "data/mask.h"

namespace telltale {
namespace {

constexpr int kSize = 96, kColumns = 8, kGap = 4, kHead = 14;

Image sheet(uint64_t seed) {
  const std::vector<std::string> laws = mask_law_names();
  const int pitch = kSize + kGap, band = pitch + kHead;
  Image image(kColumns * pitch + kGap, int(laws.size()) * band + kGap);
  std::fill(image.rgb.begin(), image.rgb.end(), uint8_t(255));
  for (size_t row = 0; row < laws.size(); ++row) {
    const int top = int(row) * band;
    draw_text(image, kGap, top + 4, laws[row], {40, 40, 40}, {255, 255, 255}, 1);
    for (int k = 0; k < kColumns; ++k) {
      const Grey mask = draw_mask(mask_law(laws[row]), kSize, kSize, seed, std::to_string(k));
      for (int y = 0; y < kSize; ++y) {
        for (int x = 0; x < kSize; ++x) {
          const uint8_t shade = mask.pixels[size_t(y) * kSize + size_t(x)] ? 60 : 215;
          std::fill_n(image.at(kGap + k * pitch + x, top + kHead + y), 3, shade);
        }
      }
    }
  }
  return image;
}

}  // namespace
}  // namespace telltale

int main(int argc, char** argv) {
  using namespace telltale;
  std::string out;
  return run_tool(
      {"mask_sheet", "Draws eight masks of each law, holes dark, into a PNG."}, argc, argv,
      [&](CLI::App& app) { app.add_option("OUT", out, "the PNG to write")->required(); },
      [&](const CommonOptions& common) {
        write_png(out, sheet(common.seed));
        return 0;
      });
}
