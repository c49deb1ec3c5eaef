#include "models/synthesis/plan.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <span>
#include <tuple>

#include "base/interrupt.h"
#include "base/log.h"
#include "base/progress.h"
#include "base/sha256.h"
#include "data/codec.h"
#include "data/photos.h"
#include "data/scenes.h"
#include "kernels/device/philox.h"

namespace telltale {
namespace {

namespace fs = std::filesystem;

std::string sha256_text(const std::string& text) {
  return sha256({reinterpret_cast<const uint8_t*>(text.data()), text.size()});
}

Row row_of(const Photo& photo) {
  Row row;
  row.label.id = photo.id;
  row.photo = photo.path;
  return row;
}

/// Fills in digests; rows whose photograph cannot be read move to `skipped`.
void hash_photos(Plan& plan, TaskPool& pool) {
  std::vector<std::future<std::string>> digests;
  digests.reserve(plan.rows.size());
  for (const Row& r : plan.rows) digests.push_back(pool.submit([path = r.photo] { return sha256_file(path); }));
  Progress progress("hashed", int64_t(plan.rows.size()), "photographs");
  std::vector<Row> kept;
  kept.reserve(plan.rows.size());
  for (size_t i = 0; i < plan.rows.size(); ++i) {
    Row& r = plan.rows[i];
    try {
      r.digest = digests[i].get();
      kept.push_back(std::move(r));
    } catch (const DataError& e) {
      spdlog::warn("skipped {}", e.what());
      plan.skipped.push_back({r.label.id, r.photo, e.what()});
    }
    progress.advance();
  }
  plan.rows = std::move(kept);
}

std::vector<Row> rows_of_table(const SynthSettings& s, const std::string& folder, const std::vector<Photo>& photos) {
  std::map<std::string, std::string> path_of;
  for (const Photo& p : photos) path_of[p.id] = p.path;
  const std::vector<Label> labels = read_labels(s.boxes, {s.paper_csv, s.size, s.size});
  std::vector<Row> rows;
  for (const Label& l : labels) {
    if (s.count && rows.size() == size_t(s.count)) break;
    const auto found = path_of.find(l.id);
    TT_CHECK(found != path_of.end(), DataError, s.boxes, ": id ", l.id, " has no photograph under ", folder,
             "; remove its row or add the photograph");
    rows.push_back(row_of({l.id, found->second}));
    rows.back().label = l;
  }
  return rows;
}

std::vector<std::string> digests_of(const std::vector<Row>& rows) {
  std::vector<std::string> digests;
  for (const Row& r : rows) digests.push_back(r.digest);
  return digests;
}

void split_by_hash(std::vector<Row>& rows, const SynthSettings& s) {
  const std::vector<Split> splits = assign_splits(s.split_plan(), s.seed, digests_of(rows));
  for (size_t i = 0; i < rows.size(); ++i) rows[i].label.split = splits[i];
}

void split_table(std::vector<Row>& rows, const SynthSettings& s) {
  const bool has_splits =
      std::any_of(rows.begin(), rows.end(), [](const Row& r) { return r.label.split != Split::none; });
  if (s.split.empty() && has_splits) return;
  const SplitPlan plan = s.split_plan();
  if (!plan.exact) return split_by_hash(rows, s);
  std::vector<Label> labels;
  for (const Row& r : rows) labels.push_back(r.label);
  split_by_order(labels, plan);
  for (size_t i = 0; i < rows.size(); ++i) rows[i].label = labels[i];
}

/// Every other one in the order of (split, seeded hash of the source): half of them all, and half of each split, to
/// one.
void choose_fakes(std::vector<Row>& rows, const SynthSettings& s) {
  std::vector<std::tuple<Split, std::string, Row*>> order;
  for (Row& r : rows)
    order.push_back({r.label.split, sha256_text(cat("fake ", s.seed, " ", r.digest, " ", r.label.id)), &r});
  std::sort(order.begin(), order.end());
  const MaskLaw law = mask_law(s.mask_law);
  bool fake = false;
  for (auto& [split, key, row] : order) {
    fake = !fake;
    row->label.fake = fake;
    if (fake) row->label.box = bounds_of(draw_mask(law, s.size, s.size, s.seed, row->label.id));
  }
}

}  // namespace

std::string Plan::sha256() const {
  std::string text;
  for (const Row& r : rows) {
    const Box& b = r.label.box;
    text += cat(r.label.id, ",", r.digest, ",", r.label.fake, ",", b.x_min, ",", b.y_min, ",", b.x_max, ",", b.y_max,
                ",", name_of(r.label.split), "\n");
  }
  return sha256_text(text);
}

void draw_scenes(const std::string& folder, const SynthSettings& s, TaskPool& pool) {
  fs::create_directories(folder);
  std::vector<std::future<void>> drawn;
  for (int i = 0; i < s.scenes; ++i) {
    const std::string digits = std::to_string(i + 1);
    const std::string path =
        folder + "/" + std::string(digits.size() < 6 ? 6 - digits.size() : 0, '0') + digits + ".png";
    if (fs::exists(path)) continue;
    const Philox4 key = philox(s.seed, uint64_t(i), 0x7363656e65);  // "scene": its own stream of the seed
    drawn.push_back(pool.submit([=, size = s.size] {
      if (!interrupted()) write_png(path, draw_scene(size, uint64_t(key.v[0]) << 32 | key.v[1]));
    }));
  }
  Progress progress("drew", s.scenes, "scenes", s.scenes - int64_t(drawn.size()));
  for (auto& d : drawn) {
    d.get();
    progress.advance();
  }
}

Plan make_plan(const SynthSettings& s, const std::string& folder, TaskPool& pool) {
  const PhotoFiles files = find_photos(folder, {s.out, s.sheet});
  TT_CHECK(!files.paths.empty(), DataError, folder, ": no photographs in this folder");
  for (const std::string& line : files.remarks) spdlog::warn("{}", line);
  std::vector<Photo> photos = with_ids(folder, files.paths);
  Plan plan;
  for (const std::string& line : files.unreadable) {
    spdlog::warn("skipped {}", line);
    plan.skipped.push_back({"", folder, line});
  }
  if (s.boxes.empty()) {
    if (s.count && size_t(s.count) < photos.size()) photos.resize(size_t(s.count));
    for (const Photo& p : photos) plan.rows.push_back(row_of(p));
  } else {
    plan.rows = rows_of_table(s, folder, photos);
  }
  hash_photos(plan, pool);
  if (s.boxes.empty()) {
    split_by_hash(plan.rows, s);
  } else {
    split_table(plan.rows, s);
  }
  std::erase_if(plan.rows, [](const Row& r) { return r.label.split == Split::none; });
  if (s.boxes.empty()) choose_fakes(plan.rows, s);
  TT_CHECK(!plan.rows.empty(), DataError, folder, ": no photograph to use");
  return plan;
}

}  // namespace telltale
