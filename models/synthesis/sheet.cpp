#include "models/synthesis/sheet.h"

#include "data/codec.h"
#include "models/sheet.h"

namespace telltale {
namespace {

constexpr size_t kSamples = 12, kPerLine = 2;
constexpr int kQuality = 90;

}  // namespace

void write_sheet(const std::string& path, const std::vector<Row>& rows, const SynthSettings& s,
                 const DatasetFolder& folder) {
  std::vector<std::vector<Image>> lines;
  size_t samples = 0;
  for (const Row& row : rows) {
    if (!row.label.fake || samples == kSamples) continue;
    if (samples++ % kPerLine == 0) lines.emplace_back();
    const Image photo = framed(row, s);
    const Grey mask = read_grey(folder.mask_path(row.label.id));
    lines.back().insert(lines.back().end(),
                        {photo, with_hole(photo, mask), read_image(folder.image_path(row.label.id, s.format))});
  }
  TT_CHECK(samples > 0, DataError, path, ": nothing was painted, so there is nothing to show");
  const Image sheet = contact_sheet({"original", "masked", "painted", "original", "masked", "painted"}, lines);
  path.ends_with(".png") ? write_png(path, sheet) : write_jpeg(path, sheet, kQuality);
}

}  // namespace telltale
