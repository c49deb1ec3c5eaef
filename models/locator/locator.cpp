#include "models/locator/locator.h"

#include <algorithm>
#include <cmath>

#include "base/sha256.h"
#include "kernels/parts/math.h"
#include "weights/names.h"

namespace telltale {
namespace {

int rounded_up(int value, int multiple) { return (value + multiple - 1) / multiple * multiple; }

/// The index that stands at i when a row of n is mirrored again and again.
int mirrored(int i, int n) {
  if (n == 1) return 0;
  const int at = i % (2 * n - 2);
  return at < n ? at : 2 * n - 2 - at;
}

}  // namespace

bool is_locator(const std::map<std::string, std::string>& metadata) {
  const auto kind = metadata.find("kind");
  return kind != metadata.end() && kind->second == "locator";
}

LocatorInfo locator_info(const std::string& path, const std::map<std::string, std::string>& metadata) {
  TT_CHECK(is_locator(metadata), DataError, path,
           ": not a locator's weights file, and a locator is wanted here: give one that train --task locate wrote");
  const auto field = [&](const char* name) {
    const auto it = metadata.find(name);
    TT_CHECK(it != metadata.end(), DataError, path, ": its metadata lack \"", name, "\": the file is damaged");
    return it->second;
  };
  LocatorInfo info;
  info.net = field("net");
  const std::vector<std::string> nets = locator_nets();
  TT_CHECK(std::find(nets.begin(), nets.end(), info.net) != nets.end(), DataError, path, ": metadata says net \"",
           info.net, "\", which is no locator known here");
  const std::string width = field("width"), residuals = field("residuals");
  const bool digits = !width.empty() && width.size() <= 3 && width.find_first_not_of("0123456789") == width.npos;
  info.width = digits ? std::stoi(width) : 0;
  TT_CHECK(info.width >= 4 && info.width <= 256, DataError, path, ": metadata says width \"", width,
           "\", expected a number from 4 to 256");
  TT_CHECK(residuals == "0" || residuals == "1", DataError, path, ": metadata says residuals \"", residuals,
           "\", expected 0 or 1");
  info.residuals = residuals == "1";
  return info;
}

LogitMap PictureMap::view() const {
  return {(width + kLocatorScale - 1) / kLocatorScale, (height + kLocatorScale - 1) / kLocatorScale, kLocatorScale,
          logits};
}

std::vector<Region> PictureMap::regions(double threshold) const {
  std::vector<Region> regions = regions_of(view(), threshold);
  for (Region& r : regions) r.box = intersect(r.box, {0, 0, width, height});
  return regions;
}

float PictureMap::logit(int x, int y) const {
  const size_t columns = size_t(view().width);
  return logits[size_t(y / kLocatorScale) * columns + size_t(x / kLocatorScale)];
}

std::vector<float> PictureMap::probabilities() const {
  std::vector<float> map;
  map.reserve(size_t(width) * size_t(height));
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x) map.push_back(sigmoid(logit(x, y)));
  return map;
}

Tiling tiles_along(int length, int longest, int border) {
  TT_CHECK(length > 0 && length % 8 == 0 && border >= 0 && border % 8 == 0 && longest / 8 * 8 > 2 * border, ShapeError,
           "no tiles of ", longest, " with borders of ", border, " along ", length);
  longest = longest / 8 * 8;
  if (length <= longest) return {length, {{0, 0, length}}};
  // All equally long, rather than a last one that mostly repeats.
  const int most = longest - 2 * border;
  const int count = (length - 2 * border + most - 1) / most;
  const int step = rounded_up((length - 2 * border + count - 1) / count, 8);
  Tiling t{.tile = step + 2 * border, .spans = {}};
  for (int kept = 0; kept < length;) {
    const int begin = std::min(int(t.spans.size()) * step, length - t.tile);
    const bool last = begin + t.tile == length;
    const int end = last ? length : begin + t.tile - border;
    t.spans.push_back({begin, kept, end});
    kept = end;
  }
  return t;
}

Image padded(const Image& image, int multiple) {
  Image wide(rounded_up(image.width, multiple), rounded_up(image.height, multiple));
  for (int y = 0; y < wide.height; ++y) {
    const int from = mirrored(y, image.height);
    std::copy_n(image.at(0, from), size_t(image.width) * 3, wide.at(0, y));
    for (int x = image.width; x < wide.width; ++x)
      std::copy_n(image.at(mirrored(x, image.width), from), 3, wide.at(x, y));
  }
  return wide;
}

Locator::Locator(const std::string& weights, Stream& stream, const Settings& settings)
    : settings_(settings),
      stream_(stream),
      file_(WeightsFile::open(weights)),
      info_(locator_info(weights, file_.metadata())),
      sha256_(sha256_file(weights)) {
  plan(8, 8);  // so that a file with other shapes is refused here
}

void Locator::plan(int height, int width) {
  if (net_ && height_ == height && width_ == width) return;
  net_.reset();  // the old one's memory first
  net_.emplace(locator_graph(info_, {1, height, width, 3}), stream_, Options{.compute = settings_.compute});
  height_ = height;
  width_ = width;
  Program& program = net_->program();
  try {
    load_params(stream_, program.params(), file_.state_dict());
  } catch (const DataError& e) {
    throw DataError(cat(file_.path(), ": not the weights of a ", info_.net, ": ", e.what()));
  }
  program.params_changed();
}

PictureMap Locator::look(const Image& image) {
  TT_CHECK(image.width > 0 && image.height > 0, ShapeError, "a picture of ", image.width, "x", image.height);
  const Image whole = padded(image);
  const Tiling rows = tiles_along(whole.height, settings_.tile, kBorder);
  const Tiling columns = tiles_along(whole.width, settings_.tile, kBorder);
  plan(rows.tile, columns.tile);

  PictureMap map{.width = image.width, .height = image.height, .logits = {}};
  const int map_width = map.view().width, map_height = map.view().height;
  map.logits.resize(size_t(map_width) * size_t(map_height));
  for (const TileSpan& v : rows.spans)
    for (const TileSpan& u : columns.spans) {
      const Image tile = crop(whole, {u.begin, v.begin, u.begin + columns.tile, v.begin + rows.tile});
      net_->run(tile.rgb, 1);
      const std::vector<float> said = net_->said(0);
      const int x_end = std::min(u.kept_end / kLocatorScale, map_width);
      const int y_end = std::min(v.kept_end / kLocatorScale, map_height);
      for (int y = v.kept_begin / kLocatorScale; y < y_end; ++y)
        for (int x = u.kept_begin / kLocatorScale; x < x_end; ++x) {
          const int row = y - v.begin / kLocatorScale, column = x - u.begin / kLocatorScale;
          const float logit = said[size_t(row) * size_t(columns.tile / kLocatorScale) + size_t(column)];
          TT_CHECK(std::isfinite(logit), DataError, file_.path(), ": the map holds ", logit,
                   ": its weights are broken");
          map.logits[size_t(y) * size_t(map_width) + size_t(x)] = logit;
        }
    }
  return map;
}

}  // namespace telltale
