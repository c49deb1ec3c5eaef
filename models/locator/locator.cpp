#include "models/locator/locator.h"

#include <algorithm>
#include <cmath>

#include "base/double_buffer.h"
#include "base/sha256.h"
#include "data/jpeg_grid.h"
#include "kernels/parts/math.h"
#include "weights/names.h"

namespace telltale {
namespace {

constexpr const char* kCalibration = "calibration";  // in the metadata

PictureMap empty_map(int width, int height) {
  PictureMap map{.width = width, .height = height, .undone = {}, .logits = {}};
  map.logits.resize(size_t(map.view().width) * size_t(map.view().height));
  return map;
}

/// The map of a picture before it was scaled, as that of the picture now: bilinear between logits.
void scale_map(const PictureMap& before, PictureMap& now) {
  const LogitMap from = before.view(), to = now.view();
  struct Between {
    int low, high;
    float share;  // of high
  };
  const auto between = [](int i, int pixels_now, int pixels_before, int logits) {
    const float at = (float(i) + 0.5f) * float(pixels_before) / float(pixels_now) - 0.5f;
    const int low = std::clamp(int(std::floor(at)), 0, logits - 1);
    return Between{low, std::min(low + 1, logits - 1), std::clamp(at - float(low), 0.f, 1.f)};
  };
  for (int y = 0; y < to.height; ++y)
    for (int x = 0; x < to.width; ++x) {
      const Between u = between(x, now.width, before.width, from.width),
                    v = between(y, now.height, before.height, from.height);
      const auto line = [&](int row) {
        const float* l = &before.logits[size_t(row) * size_t(from.width)];
        return l[u.low] + u.share * (l[u.high] - l[u.low]);
      };
      const float upper = line(v.low);
      now.logits[size_t(y) * size_t(to.width) + size_t(x)] = upper + v.share * (line(v.high) - upper);
    }
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
  const auto flag = [&](const char* name, const std::string& value) {
    TT_CHECK(value == "0" || value == "1", DataError, path, ": metadata says ", name, " \"", value,
             "\", expected 0 or 1");
    return value == "1";
  };
  info.residuals = flag("residuals", residuals);
  // Files from before have neither.
  if (metadata.contains("scales")) {
    const std::string scales = field("scales");
    TT_CHECK(scales == "1" || scales == "2", DataError, path, ": metadata says scales \"", scales,
             "\", expected 1 or 2");
    info.scales = std::stoi(scales);
  }
  if (metadata.contains("bayar")) info.bayar = flag("bayar", field("bayar"));
  return info;
}

std::optional<Calibration> calibration_in(const std::string& path, const std::map<std::string, std::string>& metadata) {
  const auto it = metadata.find(kCalibration);
  if (it == metadata.end()) return std::nullopt;
  try {
    return calibration_of(it->second);
  } catch (const DataError& e) {
    throw DataError(cat(path, ": ", e.what()));
  }
}

void write_calibrated(const std::string& to, const WeightsFile& locator, const Calibration& calibration) {
  Metadata metadata = locator.metadata();
  metadata[kCalibration] = to_text(calibration);
  write_weights(to, locator.state_dict(), metadata);
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

Locator::Locator(const std::string& weights, Stream& stream, const Settings& settings)
    : settings_(settings),
      stream_(stream),
      file_(WeightsFile::open(weights)),
      info_(locator_info(weights, file_.metadata())),
      sha256_(sha256_file(weights)),
      calibration_(calibration_in(weights, file_.metadata())) {
  plan(8, 8);  // so that a file with other shapes is refused here
}

void Locator::plan(int height, int width) {
  if (net_ && height_ == height && width_ == width) return;
  net_.reset();  // the old one's memory first
  net_.emplace(locator_graph(info_, {1, height, width, 3}), stream_,
               Options{.compute = settings_.compute, .keep_parameters = false});
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

double Locator::score(const PictureMap& map) const {
  return calibration_ ? calibration_->logit(map_statistics(map.view())) : picture_logit(map.view());
}

Sample Locator::sample_of(const PictureMap& map, const Label& label) const {
  Sample sample = telltale::sample_of(map.view(), label);
  sample.logit = score(map);
  return sample;
}

Tiling Locator::tiles(int length) const {
  const bool compares = compares_places(info_);
  const Seam seam = compares ? kComparedSeam : kSeam;
  return tiles_along(rounded_up(length, 8), compares ? settings_.compared : settings_.tile, seam.reach, seam.blend);
}

std::optional<Scaling> Locator::scaling_of(const Image& image) const {
  if (!settings_.undo_scaling || !reads_grids(info_) || jpeg_grid_evidence(image) >= kJpegGridEvidence)
    return std::nullopt;
  const std::optional<Scaling> scaling = find_scaling(image);
  return scaling && int64_t(scaling->width) * scaling->height <= kMostUndone ? scaling : std::nullopt;
}

std::vector<PictureMap> Locator::look(std::span<const Image> images) {
  std::vector<PictureMap> maps;
  for (const Image& image : images) {
    TT_CHECK(image.width > 0 && image.height > 0, ShapeError, "a picture of ", image.width, "x", image.height);
    maps.push_back(empty_map(image.width, image.height));
    maps.back().undone = scaling_of(image);
  }
  const auto alike = [](const PictureMap& a, const PictureMap& b) {
    return a.width == b.width && a.height == b.height && !a.undone && !b.undone;
  };
  for (size_t first = 0, end = 0; first < images.size(); first = end) {
    if (const std::optional<Scaling>& undone = maps[first].undone) {
      end = first + 1;
      const Image before = undo_scaling(images[first], *undone);
      PictureMap whole = empty_map(before.width, before.height);
      look(std::span(&before, 1), std::span(&whole, 1));
      scale_map(whole, maps[first]);
      continue;
    }
    while (end < images.size() && alike(maps[end], maps[first])) ++end;
    look(images.subspan(first, end - first), std::span(maps).subspan(first, end - first));
  }
  return maps;
}

void Locator::look(std::span<const Image> images, std::span<PictureMap> maps) {
  const Tiling rows = tiles(images[0].height), columns = tiles(images[0].width);
  plan(rows.length, columns.length);
  const size_t across = columns.tiles.size(), each = rows.tiles.size() * across;
  const auto row = [&](size_t tile) -> const Tiling::Tile& { return rows.tiles[tile % each / across]; };
  const auto column = [&](size_t tile) -> const Tiling::Tile& { return columns.tiles[tile % across]; };
  DoubleBuffer<std::vector<float>> said(stream_.is_cuda(), [&](size_t tile) {
    const int left = column(tile).begin, top = row(tile).begin;
    const Image part = crop_mirrored(images[tile / each], {left, top, left + columns.length, top + rows.length});
    return [answer = net_->enqueue(part.rgb, 1)] { return answer()[0]; };
  });
  said.run(images.size() * each, [&](size_t tile, const std::vector<float>& logits) {
    add_tile(logits, column(tile), row(tile), maps[tile / each]);
  });
}

void Locator::add_tile(const std::vector<float>& said, const Tiling::Tile& u, const Tiling::Tile& v,
                       PictureMap& map) const {
  const LogitMap view = map.view();
  const int across = int(u.share.size()) / kLocatorScale, down = int(v.share.size()) / kLocatorScale;
  const int left = u.begin / kLocatorScale, top = v.begin / kLocatorScale;
  for (int y = 0; y < std::min(down, view.height - top); ++y)
    for (int x = 0; x < std::min(across, view.width - left); ++x) {
      const float share = u.share[size_t(x * kLocatorScale)] * v.share[size_t(y * kLocatorScale)];
      if (share == 0) continue;
      const float logit = said[size_t(y) * size_t(across) + size_t(x)];
      TT_CHECK(std::isfinite(logit), DataError, file_.path(), ": the map holds ", logit, ": its weights are broken");
      map.logits[size_t(top + y) * size_t(view.width) + size_t(left + x)] += share * logit;
    }
}

}  // namespace telltale
