// painter_sheet: what each painter makes of the same photographs, and how fast.
#include <CLI/CLI.hpp>
#include <ctime>

#include "base/args.h"
#include "base/log.h"
#include "data/codec.h"
#include "data/mask.h"
#include "data/painters/blend.h"
#include "data/painters/painter.h"
#include "data/photos.h"
#include "data/scenes.h"
#include "models/sheet.h"

namespace telltale {
namespace {

constexpr int kQuality = 80;

struct Settings {
  std::string photos, out, mask = "mixed";
  std::vector<std::string> names, blends = {"hard"};
  int count = 4, size = 256;
};

/// Of this thread: what else runs on the machine hardly counts.
double processor_seconds() {
  timespec t{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return double(t.tv_sec) + 1e-9 * double(t.tv_nsec);
}

Image sheet(const Settings& s, uint64_t seed) {
  std::vector<std::string> names = s.names;
  if (names.empty())
    for (const Painter& p : painters()) names.emplace_back(p.name);
  std::vector<Image> photos;
  std::vector<Grey> masks;
  const std::vector<Photo> listed = s.photos.empty() ? std::vector<Photo>() : list_photos(s.photos);
  const size_t wanted = size_t(s.count) + 1;  // splices come from the next one
  TT_CHECK(s.photos.empty() || listed.size() >= wanted, DataError, s.photos, ": ", wanted, " photographs are needed");
  for (size_t k = 0; k < wanted; ++k) {
    photos.push_back(s.photos.empty() ? draw_scene(s.size, seed * 1000 + k)
                                      : centre_square(read_image(listed[k].path), s.size));
    masks.push_back(draw_mask(mask_law(s.mask), photos.back(), seed, std::to_string(k), {.low = 0, .high = .4}));
  }
  // A photograph a row, a painter a column, or one for each way of setting its paint in.
  std::vector<std::string> titles{"photograph", "masked"};
  std::vector<std::vector<Image>> rows(static_cast<size_t>(s.count));
  for (size_t k = 0; k < rows.size(); ++k) rows[k] = {photos[k], with_hole(photos[k], masks[k])};
  for (const std::string& name : names) {
    const Painter& p = painter(name);
    double seconds = 0;
    for (size_t k = 0; k < rows.size(); ++k) {
      const Picture photo = to_picture(photos[k]), other = to_picture(photos[k + 1]);
      Random random(seed, k);
      const double start = processor_seconds();
      const Picture fill = paint(p, {photo, masks[k], &other}, random);
      seconds += processor_seconds() - start;
      for (const std::string& how : s.blends)
        rows[k].push_back(to_image(blend(photo, fill, masks[k], blend_named(how), 4, p.kind != PainterKind::inpaint)));
    }
    for (const std::string& how : s.blends) titles.push_back(s.blends.size() == 1 ? name : cat(name, ", ", how));
    spdlog::info("{}: {:.1f} images per second of one core", name, double(s.count) / seconds);
  }
  return contact_sheet(titles, rows);
}

}  // namespace
}  // namespace telltale

int main(int argc, char** argv) {
  using namespace telltale;
  Settings s;
  return run_tool(
      {"painter_sheet", "Draws what each painter makes of some photographs or scenes, and says how fast it was."}, argc,
      argv,
      [&](CLI::App& app) {
        app.add_option("OUT", s.out, "the PNG or JPEG to write")->required();
        app.add_option("--photos", s.photos,
                       "folder of photographs, of which the first are taken; default: procedural scenes");
        app.add_option("--count", s.count, "how many")->check(CLI::Range(1, 64))->capture_default_str();
        app.add_option("--size", s.size, "side of the images")->check(CLI::Range(16, 4096))->capture_default_str();
        app.add_option("--painter", s.names, "which, separated by commas; default: all")->delimiter(',');
        app.add_option("--mask-distribution", s.mask, "how holes are drawn")
            ->check(CLI::IsMember(mask_law_names(true)))
            ->capture_default_str();
        app.add_option("--blend", s.blends, "how paint is set in; several, separated by commas: side by side")
            ->delimiter(',')
            ->check(CLI::IsMember(blend_names()))
            ->capture_default_str();
      },
      [&](const CommonOptions& common) {
        const Image image = sheet(s, common.seed);
        s.out.ends_with(".png") ? write_png(s.out, image) : write_jpeg(s.out, image, kQuality);
        return 0;
      });
}
