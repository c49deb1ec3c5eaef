#include "models/locator/fills.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/deal.h"
#include "base/packed.h"
#include "data/codec.h"
#include "data/mask.h"

namespace telltale {
namespace {

constexpr double kFalseAlarms = 0.05;

/// A table of tab-separated cells; asked for by the columns' names.
class TabbedFile {
 public:
  explicit TabbedFile(const std::string& path) : path_(path) {
    std::ifstream file(path);
    TT_CHECK(file, DataError, path, ": cannot open; a folder of fills has fills.tsv and camera.tsv");
    for (std::string line; std::getline(file, line);) {
      if (!line.empty() && line.back() == '\r') line.pop_back();
      if (line.empty()) continue;
      std::vector<std::string> cells;
      std::istringstream text(line);
      for (std::string cell; std::getline(text, cell, '\t');) cells.push_back(cell);
      rows_.push_back(cells);
    }
    TT_CHECK(rows_.size() >= 2, DataError, path, ": no row below a header");
  }
  size_t rows() const { return rows_.size() - 1; }
  const std::string& cell(size_t row, const std::string& column) const {
    const auto at = std::find(rows_[0].begin(), rows_[0].end(), column);
    TT_CHECK(at != rows_[0].end(), DataError, path_, ": no column \"", column, "\"");
    const auto index = size_t(at - rows_[0].begin());
    TT_CHECK(index < rows_[row + 1].size(), DataError, path_, ": row ", row + 1, " has no \"", column, "\"");
    return rows_[row + 1][index];
  }

 private:
  std::string path_;
  std::vector<std::vector<std::string>> rows_;
};

double ratio(double part, double whole) { return whole > 0 ? part / whole : 0; }

/// Counts the pixels of a fake.
void count_pixels(FillFinding& f, const PictureMap& map, const Grey& mask) {
  for (int y = 0; y < map.height; ++y)
    for (int x = 0; x < map.width; ++x) {
      const bool painted = mask.pixels[size_t(y) * size_t(mask.width) + size_t(x)] >= 128;
      const bool called = map.logit(x, y) >= 0;
      f.both += painted && called;
      f.called += called;
      f.painted += painted;
    }
}

FillFinding look_at(Locator& locator, const FillPicture& p, int quality) {
  const Image image = decode_image(encode_jpeg(read_image(p.path), quality), p.path);
  Label label{.id = p.id, .fake = p.kind == FillPicture::Kind::fake, .box = {}};
  Grey mask;
  if (label.fake) {
    mask = read_grey(p.mask);
    TT_CHECK(mask.width == image.width && mask.height == image.height, DataError, p.mask, ": ", mask.width, "x",
             mask.height, ", and its picture is ", image.width, "x", image.height);
    label.box = bounds_of(mask);
    TT_CHECK(!label.box.empty(), DataError, p.mask, ": nothing is painted in this mask");
  }
  const PictureMap map = locator.look(image);
  FillFinding f{.picture = p, .sample = locator.sample_of(map, label)};
  if (label.fake) count_pixels(f, map, mask);
  return f;
}

FillScore score_of(const std::string& name, const std::vector<FillFinding>& fakes, const std::vector<Sample>& quiet,
                   const FillScores& at) {
  FillScore s{.generator = name};
  std::vector<Sample> samples = quiet;
  double both = 0, called = 0, painted = 0;
  for (const FillFinding& f : fakes) {
    samples.push_back(f.sample);
    s.found += f.sample.logit > at.quiet_logit;
    if (calls_fake(f.sample.logit, at.threshold)) s.box_iou += iou(f.sample.predicted, f.sample.truth);
    both += double(f.both);
    called += double(f.called);
    painted += double(f.painted);
  }
  s.fakes = int64_t(fakes.size());
  s.auc = roc_auc(samples);
  s.found /= double(fakes.size());
  s.box_iou /= double(fakes.size());
  s.pixel_f1 = ratio(2 * both, called + painted);
  return s;
}

nlohmann::ordered_json to_json(const FillScore& s) {
  return {{"generator", s.generator},      {"fakes", s.fakes},          {"auc", s.auc},
          {"found_at_5_percent", s.found}, {"mean_box_iou", s.box_iou}, {"pixel_f1", s.pixel_f1}};
}

}  // namespace

std::vector<FillPicture> read_fills(const std::string& dir) {
  using Kind = FillPicture::Kind;
  const TabbedFile fills(dir + "/fills.tsv"), cameras(dir + "/camera.tsv");
  std::vector<FillPicture> pictures, originals;
  for (size_t i = 0; i < fills.rows(); ++i) {
    const std::string& id = fills.cell(i, "id");
    pictures.push_back(
        {Kind::fake, id, fills.cell(i, "generator"), dir + "/fake/" + id + ".jpg", dir + "/mask/" + id + ".png"});
    if (fills.cell(i, "original") == "yes")
      originals.push_back({Kind::original, id, "", dir + "/real/" + id + ".jpg", ""});
  }
  pictures.insert(pictures.end(), originals.begin(), originals.end());
  for (size_t i = 0; i < cameras.rows(); ++i) {
    const std::string& id = cameras.cell(i, "id");
    pictures.push_back({Kind::camera, id, "", dir + "/camera/" + id + ".jpg", ""});
  }
  for (const FillPicture& p : pictures)
    for (const std::string& path : {p.path, p.mask})
      TT_CHECK(path.empty() || std::filesystem::exists(path), DataError, path, ": missing, though a table names it");
  return pictures;
}

std::vector<FillFinding> look_at_fills(Locator& locator, const std::vector<FillPicture>& pictures, int quality,
                                       const std::function<void()>& after_each,
                                       const std::function<void(const std::string&)>& refused, Ranks& ranks) {
  struct Said {
    FillFinding finding;
    std::string why;  ///< it was refused
  };
  std::vector<FillFinding> findings;
  deal<Said>(
      ranks, {.items = pictures.size()},
      [&](size_t i, std::span<const size_t>) -> Said {
        try {
          return {look_at(locator, pictures[i], quality), {}};
        } catch (const DataError& e) {
          return {{}, e.what()};
        }
      },
      [&](size_t i, Said said) {
        said.finding.picture = pictures[i];
        said.why.empty() ? findings.push_back(std::move(said.finding)) : refused(said.why);
        after_each();
      },
      [](const Said& said) {
        const FillFinding& f = said.finding;
        return bytes_of(Packed{{"why", said.why},
                               {"sample", packed(std::vector{f.sample})},
                               {"pixels", packed(std::vector{f.both, f.called, f.painted})}});
      },
      [](const std::string& bytes) {
        const Packed p = unpacked(bytes);
        const auto pixels = values_in<int64_t>(p.at("pixels"));
        return Said{{.picture = {},
                     .sample = values_in<Sample>(p.at("sample"))[0],
                     .both = pixels[0],
                     .called = pixels[1],
                     .painted = pixels[2]},
                    p.at("why")};
      });
  return findings;
}

FillScores score_fills(const std::vector<FillFinding>& findings, double threshold) {
  using Kind = FillPicture::Kind;
  FillScores scores{.threshold = threshold, .generators = {}, .all = {}};
  std::vector<FillFinding> fakes;
  std::vector<Sample> quiet;
  std::vector<double> cameras;
  for (const FillFinding& f : findings) {
    if (f.picture.kind == Kind::fake) {
      fakes.push_back(f);
      continue;
    }
    quiet.push_back(f.sample);
    const bool camera = f.picture.kind == Kind::camera;
    ++(camera ? scores.cameras : scores.originals);
    (camera ? scores.camera_alarms : scores.original_alarms) += calls_fake(f.sample.logit, threshold);
    if (camera) cameras.push_back(f.sample.logit);
  }
  TT_CHECK(!fakes.empty() && !cameras.empty(), DataError, "fills are judged by fakes and cameras: there are ",
           fakes.size(), " and ", cameras.size());
  scores.camera_alarms /= double(scores.cameras);
  scores.original_alarms = ratio(scores.original_alarms, double(scores.originals));
  std::sort(cameras.begin(), cameras.end(), std::greater<>());
  scores.quiet_logit = cameras[size_t(std::floor(kFalseAlarms * double(cameras.size())))];

  std::vector<std::string> names;
  for (const FillFinding& f : fakes) names.push_back(f.picture.generator);
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  for (const std::string& name : names) {
    std::vector<FillFinding> own;
    std::copy_if(fakes.begin(), fakes.end(), std::back_inserter(own),
                 [&](const FillFinding& f) { return f.picture.generator == name; });
    scores.generators.push_back(score_of(name, own, quiet, scores));
  }
  scores.all = score_of("all", fakes, quiet, scores);
  return scores;
}

Table fill_table(const FillScores& scores) {
  Table table{{"generator", "fakes", "AUC", "found at 5 %", "mean box IoU", "pixel F1"}};
  const auto add = [&](const FillScore& s) {
    table.rows.push_back({s.generator, std::to_string(s.fakes), fixed(s.auc, 3), fixed(s.found, 3), fixed(s.box_iou, 3),
                          fixed(s.pixel_f1, 3)});
  };
  for (const FillScore& s : scores.generators) add(s);
  add(scores.all);
  return table;
}

nlohmann::ordered_json to_json(const FillScores& s) {
  nlohmann::ordered_json j{{"threshold", s.threshold},
                           {"logit_at_5_percent", s.quiet_logit},
                           {"originals", s.originals},
                           {"cameras", s.cameras},
                           {"false_alarms_on_originals", s.original_alarms},
                           {"false_alarms_on_cameras", s.camera_alarms}};
  for (const FillScore& g : s.generators) j["generators"].push_back(to_json(g));
  j["all"] = to_json(s.all);
  return j;
}

}  // namespace telltale
