#include "models/synthesis/sheet.h"

#include <filesystem>
#include <fstream>

#include "data/codec.h"
#include "models/sheet.h"

namespace telltale {
namespace {

constexpr size_t kSamples = 12, kPerLine = 2;
constexpr int kQuality = 90;

std::string whole_path(const std::string& path) { return std::filesystem::weakly_canonical(path).string(); }

/// Of one dataset: a sheet a line, by its whole path.
std::string list_path(const std::string& out) { return out + "/.sheets"; }

bool is_listed(const std::string& path, const std::string& out) {
  std::ifstream list(list_path(out));
  const std::string whole = whole_path(path);
  for (std::string line; std::getline(list, line);)
    if (line == whole) return true;
  return false;
}

}  // namespace

void check_sheet(const std::string& path, const std::string& out) {
  if (path.empty() || !std::filesystem::exists(path)) return;
  TT_CHECK(is_listed(path, out), UsageError, "--sheet ", path, ": is there already, and it is no sheet of ", out,
           ": remove it or name another file");
}

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
  if (!is_listed(path, s.out)) {  // before the sheet: a run that is killed between the two must be able to replace it
    std::ofstream list(list_path(s.out), std::ios::app | std::ios::binary);
    list << whole_path(path) << '\n' << std::flush;
    TT_CHECK(list, DataError, list_path(s.out), ": cannot write: is the disk full?");
  }
  path.ends_with(".png") ? write_png(path, sheet) : write_jpeg(path, sheet, kQuality);
}

}  // namespace telltale
