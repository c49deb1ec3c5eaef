#include "data/dataset.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>
#include <string_view>
#include <unordered_map>

#include "base/atomic_file.h"
#include "base/check.h"
#include "base/json_text.h"
#include "base/sha256.h"
#include "data/codec.h"

namespace telltale {

namespace fs = std::filesystem;
using nlohmann::json;

namespace {

constexpr const char* kInfoFile = "/dataset.json";

template <class T>
T field(const json& from, const char* name, const std::string& path) {
  TT_CHECK(from.is_object() && from.contains(name), DataError, path, ": field '", name, "' is missing");
  const json& value = from[name];
  const bool fits = std::is_same_v<T, std::string> ? value.is_string()
                    : std::is_same_v<T, uint64_t>  ? value.is_number_unsigned()
                                                   : value.is_number_integer();
  TT_CHECK(fits, DataError, path, ": field '", name, "' is ", value.dump(), ", not ",
           std::is_same_v<T, std::string> ? "text" : "a whole number");
  if constexpr (std::is_same_v<T, int>)
    TT_CHECK(value.get<int64_t>() == int(value.get<int64_t>()), DataError, path, ": field '", name, "' is ",
             value.dump(), ", out of range");
  return value.get<T>();
}

/// File names by stem, of pictures: a stem's .jpg where it has several, else its .png, else the first by name.
std::unordered_map<std::string, std::string> pictures_in(const std::string& folder) {
  constexpr std::array<std::string_view, 8> kEndings{".jpg", ".png", ".jpeg", ".jpe", ".jfif", ".webp", ".bmp", ".gif"};
  const auto rank = [&](const std::string& name) {
    std::string ending = fs::path(name).extension().string();
    const size_t exact = size_t(std::find(kEndings.begin(), kEndings.end(), ending) - kEndings.begin());
    if (exact < kEndings.size()) return exact;
    for (char& c : ending) c = char(std::tolower(static_cast<unsigned char>(c)));
    return kEndings.size() + size_t(std::find(kEndings.begin(), kEndings.end(), ending) - kEndings.begin());
  };
  std::unordered_map<std::string, std::string> names;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename().string();
    if (rank(name) >= 2 * kEndings.size()) continue;
    std::string& best = names[it->path().stem().string()];
    if (best.empty() || std::pair(rank(name), name) < std::pair(rank(best), best)) best = name;
  }
  TT_CHECK(!error, DataError, folder, ": cannot list the folder: ", error.message());
  return names;
}

}  // namespace

void write_dataset_info(const std::string& dir, const DatasetInfo& info) {
  json text{{"size", info.size},
            {"seed", info.seed},
            {"mask_law", info.mask_law},
            {"negatives", info.negatives},
            {"inpainter", {{"family", info.inpainter}, {"weights_sha256", info.weights_sha256}}},
            {"codec", {{"name", info.codec}, {"quality", info.quality}}},
            {"counts", {{"images", info.images}, {"fakes", info.fakes}}},
            {"skipped", info.skipped}};
  if (!info.treatment.empty()) text["treatment"] = info.treatment;
  write_atomically(dir + kInfoFile, json_text(text, 2) + "\n");
}

DatasetInfo read_dataset_info(const std::string& dir) {
  const std::string path = dir + kInfoFile;
  const auto bytes = read_file(path);
  const json from = json::parse(bytes, nullptr, false);
  TT_CHECK(!from.is_discarded(), DataError, path, ": not valid JSON");
  const auto object = [&](const char* name) {
    TT_CHECK(from.is_object() && from.contains(name), DataError, path, ": field '", name, "' is missing");
    return from[name];
  };
  const json inpainter = object("inpainter"), codec = object("codec"), counts = object("counts");
  DatasetInfo info;
  info.size = field<int>(from, "size", path);
  info.seed = field<uint64_t>(from, "seed", path);
  info.mask_law = field<std::string>(from, "mask_law", path);
  info.negatives = field<std::string>(from, "negatives", path);
  info.inpainter = field<std::string>(inpainter, "family", path);
  info.weights_sha256 = field<std::string>(inpainter, "weights_sha256", path);
  info.codec = field<std::string>(codec, "name", path);
  info.quality = field<int>(codec, "quality", path);
  info.images = field<int64_t>(counts, "images", path);
  info.fakes = field<int64_t>(counts, "fakes", path);
  const json skipped = from.value("skipped", json::array());
  TT_CHECK(
      skipped.is_array() && std::all_of(skipped.begin(), skipped.end(), [](const json& j) { return j.is_string(); }),
      DataError, path, ": field 'skipped' is not a list of lines");
  info.skipped = skipped.get<std::vector<std::string>>();
  const json treatment = from.value("treatment", json::object());
  TT_CHECK(treatment.is_object() &&
               std::all_of(treatment.begin(), treatment.end(), [](const json& j) { return j.is_string(); }),
           DataError, path, ": field 'treatment' is not a table of texts");
  info.treatment = treatment.get<std::map<std::string, std::string>>();
  TT_CHECK(info.size >= 1 && info.size <= 16384, DataError, path, ": field 'size' is ", info.size,
           ": expected 1 to 16384");
  return info;
}

Dataset Dataset::open(const std::string& dir) {
  TT_CHECK(fs::is_directory(dir), DataError, dir, ": no such folder; make a dataset with `synth`");
  TT_CHECK(fs::exists(dir + kInfoFile), DataError, dir,
           ": has no dataset.json; it is not a dataset, or `synth` did not finish (run it again to resume)");
  Dataset dataset;
  dataset.dir_ = dir;
  dataset.info_ = read_dataset_info(dir);
  const std::string table = dir + "/labels.csv";
  dataset.labels_ = read_labels(table, {.width = dataset.info_.size, .height = dataset.info_.size});
  dataset.labels_sha256_ = sha256_file(table);

  int64_t fakes = 0;
  const auto names = pictures_in(dir + "/images");
  for (const Label& label : dataset.labels_) {
    fakes += label.fake;
    const auto found = names.find(label.id);
    TT_CHECK(found != names.end(), DataError, dir, "/images/", label.id,
             ".jpg (or .png): missing, and labels.csv names it");
    dataset.image_paths_.push_back(dir + "/images/" + found->second);
    dataset.mask_paths_.push_back(dir + "/masks/" + label.id + ".png");
  }
  TT_CHECK(int64_t(dataset.labels_.size()) == dataset.info_.images && fakes == dataset.info_.fakes, DataError, table,
           ": has ", dataset.labels_.size(), " rows, ", fakes, " of them fake; dataset.json says ",
           dataset.info_.images, " and ", dataset.info_.fakes);
  return dataset;
}

Dataset Dataset::open(const std::vector<std::string>& dirs) {
  TT_CHECK(!dirs.empty(), UsageError, "no dataset folder is given");
  Dataset all = open(dirs[0]);
  for (size_t k = 1; k < dirs.size(); ++k) {
    const Dataset more = open(dirs[k]);
    TT_CHECK(more.info_.size == all.info_.size, DataError, more.dir_, ": its images are ", more.info_.size,
             " pixels wide, and those of ", dirs[0], " ", all.info_.size);
    for (const int row : more.rows(Split::train)) {
      all.labels_.push_back(more.labels_[row]);
      all.labels_.back().id = cat(k + 1, "/", more.labels_[row].id);
      all.image_paths_.push_back(more.image_paths_[row]);
      all.mask_paths_.push_back(more.mask_paths_[row]);
      ++all.info_.images;
      all.info_.fakes += more.labels_[row].fake;
    }
    all.dir_ += ", " + more.dir_;
    const std::string both = all.labels_sha256_ + more.labels_sha256_;
    all.labels_sha256_ = sha256({reinterpret_cast<const uint8_t*>(both.data()), both.size()});
  }
  return all;
}

Dataset Dataset::chosen(const std::vector<std::string>& painters, bool keep) const {
  std::set<std::string> here, met;
  const auto named = [&](const std::string& painter) {
    const std::string group = painter.substr(0, painter.find(':'));
    for (const std::string& name : painters)
      if (name == painter || name == group) return met.insert(name), true;
    return false;
  };
  Dataset less = *this;
  less.labels_.clear(), less.image_paths_.clear(), less.mask_paths_.clear();
  less.info_.images = less.info_.fakes = 0;
  for (size_t i = 0; i < labels_.size(); ++i) {
    const Label& label = labels_[i];
    if (label.fake) here.insert(label.painter);
    if (label.fake && named(label.painter) != keep) continue;
    less.labels_.push_back(label);
    less.image_paths_.push_back(image_paths_[i]);
    less.mask_paths_.push_back(mask_paths_[i]);
    ++less.info_.images;
    less.info_.fakes += label.fake;
  }
  std::string choice = labels_sha256_ + (keep ? " only" : " without"), everyone;
  for (const std::string& painter : here) everyone += (everyone.empty() ? "" : ", ") + painter;
  for (const std::string& name : painters) {
    TT_CHECK(met.contains(name), UsageError, dir_, ": no fake was painted by \"", name, "\", but by ", everyone);
    choice += " " + name;
  }
  less.labels_sha256_ = sha256({reinterpret_cast<const uint8_t*>(choice.data()), choice.size()});
  return less;
}

std::vector<int> Dataset::rows(const std::vector<Split>& splits) const {
  std::vector<int> rows;
  std::string names;
  for (const Split split : splits) {
    for (size_t i = 0; i < labels_.size(); ++i)
      if (labels_[i].split == split) rows.push_back(int(i));
    names += cat(names.empty() ? "" : " or ", "'", name_of(split), "'");
  }
  TT_CHECK(!rows.empty(), DataError, dir_, "/labels.csv: no row in the split ", names);
  return rows;
}

}  // namespace telltale
