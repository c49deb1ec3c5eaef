#include "models/synthesis/plan.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <span>
#include <tuple>

#include "base/hash.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "base/progress.h"
#include "base/sha256.h"
#include "data/camera.h"
#include "data/codec.h"
#include "data/painters/painter.h"
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
  bool fake = false;
  for (auto& [split, key, row] : order) {
    fake = !fake;
    row->label.fake = fake;
  }
}

/// Draws the fakes' masks for their boxes; rows whose photograph is looked at and cannot be used move to `skipped`.
void draw_boxes(Plan& plan, const SynthSettings& s, TaskPool& pool) {
  const MaskLaw law = mask_law(s.mask_law);
  if (!looks_at_photo(law)) {
    for (Row& r : plan.rows)
      if (r.label.fake) r.label.box = bounds_of(draw_mask(law, s.size, s.size, s.seed, r.label.id));
    return;
  }
  std::vector<std::future<Box>> boxes;
  for (const Row& r : plan.rows)
    if (r.label.fake)
      boxes.push_back(pool.submit([&r, &s] { return interrupted() ? Box{} : bounds_of(mask_of(r, s, framed(r, s))); }));
  Progress progress("outlined", int64_t(boxes.size()), "holes");
  auto box = boxes.begin();
  std::vector<std::string> unusable(plan.rows.size());
  for (size_t i = 0; i < plan.rows.size(); ++i) {
    if (!plan.rows[i].label.fake) continue;
    try {
      plan.rows[i].label.box = (box++)->get();
    } catch (const DataError& e) {
      unusable[i] = e.what();
    }
    progress.advance();
  }
  TT_CHECK(!interrupted(), Error, "stopped; run the same command again to continue");
  std::vector<Row> kept;
  for (size_t i = 0; i < plan.rows.size(); ++i) {
    if (unusable[i].empty()) {
      kept.push_back(std::move(plan.rows[i]));
      continue;
    }
    spdlog::warn("skipped {}", unusable[i]);
    plan.skipped.push_back({plan.rows[i].label.id, plan.rows[i].photo, unusable[i]});
  }
  plan.rows = std::move(kept);
}

/// A square of the photograph's own pixels, on its grid of JPEG blocks.
Image window_of(const Image& photo, const Row& r, const SynthSettings& s) {
  const int grid = r.treatment.camera ? 1 : 16;  // of 4:2:0; another camera's has none yet
  TT_CHECK(photo.width >= s.size && photo.height >= s.size, DataError, r.photo, ": is ", photo.width, "x", photo.height,
           ", smaller than the window of ", s.size, "x", s.size, " that --size native cuts out; remove it");
  Random random(s.seed, fnv1a("window " + r.label.id));
  const int x = grid * int(random.integer(0, (photo.width - s.size) / grid)),
            y = grid * int(random.integer(0, (photo.height - s.size) / grid));
  return crop(photo, {x, y, x + s.size, y + s.size});
}

/// Draws what is done to each, and from where splices come: another photograph of the same split, so that none's
/// pixels are in two.
void treat(std::vector<Row>& rows, const SynthSettings& s) {
  const TreatmentPlan plan = s.treatments();
  std::map<Split, std::vector<const Row*>> of_split;
  for (const Row& r : rows) of_split[r.label.split].push_back(&r);
  for (Row& r : rows) {
    r.treatment = draw_treatment(plan, s.seed, r.label.id, r.label.fake);
    r.label.painter = s.is_varied() ? r.treatment.told : "";
    if (!r.label.fake || r.treatment.painter == kGeneratorPainter ||
        painter(r.treatment.painter).kind != PainterKind::splice)
      continue;
    const std::vector<const Row*>& others = of_split[r.label.split];
    Random random(s.seed, fnv1a("other " + r.label.id));
    size_t k = size_t(random.integer(0, int64_t(others.size()) - 1));
    if (others[k] == &r) k = (k + 1) % others.size();
    r.treatment.other = others[k]->photo;
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

Image framed(const Row& r, const SynthSettings& s, Remarks* remarks) {
  Image photo = read_image(r.photo, remarks);
  if (r.treatment.camera) {
    Random random(s.seed, fnv1a("camera " + r.label.id));
    photo = through_camera(photo, s.size, random);
  }
  return with_past(s.is_native() ? window_of(photo, r, s) : centre_square(photo, s.size), r.treatment.past);
}

Grey mask_of(const Row& r, const SynthSettings& s, const Image& photo) {
  if (!s.boxes.empty()) return rasterise(r.label.box, s.size, s.size);
  return draw_mask(mask_law(s.mask_law), photo, s.seed, r.label.id);
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
  treat(plan.rows, s);
  if (s.boxes.empty()) draw_boxes(plan, s, pool);
  TT_CHECK(!plan.rows.empty(), DataError, folder, ": no photograph to use");
  return plan;
}

}  // namespace telltale
