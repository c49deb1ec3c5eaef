#include "models/synthesis/folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <set>

#include "base/atomic_file.h"
#include "base/json_text.h"
#include "base/log.h"
#include "base/outputs.h"
#include "base/table.h"
#include "data/codec.h"
#include "data/dataset.h"

namespace telltale {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr const char* kSettings = "synth.json";
constexpr const char* kJournal = "psnr.csv";
constexpr const char* kJournalHeader = "id,psnr_db\n";

/// synth.json is the first file of all, so a folder with anything else and without it is not ours.
void check_ours(const std::string& dir) {
  const std::string foreign = first_content(dir);
  // Looked for last: what another shard makes meanwhile comes after its synth.json.
  TT_CHECK(foreign.empty() || fs::exists(dir + "/" + kSettings), DataError, dir, ": holds ", foreign,
           ", which synth did not make; give an empty or a new folder");
}

/// Whole lines only: a torn last line never happened.
std::string whole_lines(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::string text{std::istreambuf_iterator<char>(in), {}};
  text.erase(text.rfind('\n') == std::string::npos ? 0 : text.rfind('\n') + 1);
  return text;
}

/// A line an image: what was done to it. Fields that say nothing about it stay empty.
std::string treatments(const std::vector<Row>& rows, const SynthSettings& s) {
  std::string text = "id,painter,blend,feather_px,fill_scale,past_quality,quality";
  text += s.camera > 0 ? ",camera\n" : "\n";
  for (const Row& r : rows) {
    const Treatment& t = r.treatment;
    text += r.label.id + "," + t.told + ",";
    if (r.label.fake) {
      text +=
          cat(name_of(t.blend), ",", t.blend == Blend::feather ? fixed(t.feather, 3) : "", ",", fixed(t.scale, 4), ",");
    } else {
      text += ",,,";
    }
    text += cat(t.past ? std::to_string(t.past) : "", ",", s.format == "png" ? "" : std::to_string(t.quality),
                s.camera > 0 ? (t.camera ? ",1" : ",0") : "", "\n");
  }
  return text;
}

}  // namespace

DatasetFolder::DatasetFolder(const std::string& dir, const json& settings, std::optional<Shard> shard) : dir_(dir) {
  std::error_code error;
  fs::create_directories(dir, error);
  TT_CHECK(!error && fs::is_directory(dir), DataError, dir,
           ": cannot make the folder: ", error ? error.message() : "a file of that name is there");
  lock_ = FolderLock(dir, "another synth", shard ? FolderLock::Kind::shared : FolderLock::Kind::exclusive);
  for (const char* folder : {"", "/images", "/masks", "/photos"}) remove_abandoned(dir + folder);
  check_ours(dir);
  claim(settings);
  for (const char* name : {"/images", "/masks"}) {
    fs::create_directory(dir + name, error);
    TT_CHECK(!error, DataError, dir, name, ": cannot make the folder: ", error.message());
  }
  open_journal(shard);
  read_journals();
}

DatasetFolder::~DatasetFolder() {
  if (journal_) std::fclose(journal_);
}

void DatasetFolder::claim(const json& settings) {
  const std::string path = dir_ + "/" + kSettings;
  json stored = json::object();
  if (fs::exists(path)) {
    const auto bytes = read_file(path);
    stored = json::parse(bytes, nullptr, false);
    TT_CHECK(stored.is_object(), DataError, path, ": not valid JSON; start again in another folder");
  }
  for (const auto& [key, value] : settings.items()) {
    TT_CHECK(
        key != "photographs" || !stored.contains(key) || stored[key] == value, DataError, dir_,
        ": was begun with other photographs (some were added, removed or changed); what it lists as skipped it does "
        "without, so nothing need be removed; for the photographs of now use another --out");
    TT_CHECK(!stored.contains(key) || stored[key] == value, DataError, dir_, ": was begun with ", key, " ",
             json_text(stored[key]), ", this run has ", json_text(value), "; use the same or another --out");
  }
  json merged = stored;
  merged.update(settings);
  if (merged != stored) write_atomically(path, json_text(merged, 2) + "\n");
  ending_ = merged.value("format", "jpg");
}

void DatasetFolder::open_journal(std::optional<Shard> shard) {
  journal_path_ = dir_ + "/" + (shard ? cat("psnr-", shard->index, "-of-", shard->count, ".csv") : kJournal);
  journal_ = std::fopen(journal_path_.c_str(), "ae");
  TT_CHECK(journal_, DataError, journal_path_, ": cannot open: ", std::strerror(errno));
  TT_CHECK(::flock(fileno(journal_), LOCK_EX | LOCK_NB) == 0, DataError, journal_path_,
           ": another synth makes this shard");
  const std::string text = whole_lines(journal_path_);
  const bool ready = ::ftruncate(fileno(journal_), off_t(text.size())) == 0 &&
                     (!text.empty() || (std::fputs(kJournalHeader, journal_) >= 0 && std::fflush(journal_) == 0));
  TT_CHECK(ready, DataError, journal_path_, ": cannot write: ", std::strerror(errno));
}

std::vector<std::string> DatasetFolder::shard_journals() const {
  std::vector<std::string> paths;
  for (const auto& entry : fs::directory_iterator(dir_)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with("psnr-") && name.ends_with(".csv")) paths.push_back(entry.path().string());
  }
  return paths;
}

/// What any run finished, this one need not make again.
void DatasetFolder::read_journals() {
  std::vector<std::string> paths = shard_journals();
  paths.push_back(dir_ + "/" + kJournal);
  for (const std::string& path : paths) {
    std::istringstream lines(whole_lines(path));
    std::string line;
    std::getline(lines, line);
    while (std::getline(lines, line)) {
      const size_t comma = line.rfind(',');
      if (comma != std::string::npos) psnr_[from_csv_cell(line.substr(0, comma))] = line.substr(comma + 1);
    }
  }
}

bool DatasetFolder::done(const Row& r) const {
  const std::lock_guard lock(mutex_);
  return psnr_.contains(r.label.id) && fs::exists(image_path(r.label.id, ending_)) &&
         (!r.label.fake || fs::exists(mask_path(r.label.id)));
}

std::string DatasetFolder::image_path(const std::string& id, const std::string& ending) const {
  return dir_ + "/images/" + id + "." + ending;
}

std::string DatasetFolder::mask_path(const std::string& id) const { return dir_ + "/masks/" + id + ".png"; }

void DatasetFolder::finished(const Row& r, const std::string& psnr) {
  const std::lock_guard lock(mutex_);
  const std::string line = csv_cell(r.label.id) + "," + psnr + "\n";
  // One write per line: a kill leaves whole lines but for the last.
  TT_CHECK(std::fputs(line.c_str(), journal_) >= 0 && std::fflush(journal_) == 0, DataError, journal_path_,
           ": cannot write: ", std::strerror(errno));
  psnr_[r.label.id] = psnr;
}

void DatasetFolder::skip(const Row& r, const std::string& reason) {
  const std::lock_guard lock(mutex_);
  clear_progress_line();
  spdlog::warn("skipped {}", reason);
  skipped_.push_back({r.label.id, r.photo, reason});
}

void DatasetFolder::join_skipped(const std::vector<Skipped>& others) {
  const std::lock_guard lock(mutex_);
  skipped_.insert(skipped_.end(), others.begin(), others.end());
}

std::vector<Row> DatasetFolder::complete(const Plan& plan, const SynthSettings& s, const std::string& weights_sha256) {
  const std::lock_guard lock(mutex_);
  skipped_.insert(skipped_.end(), plan.skipped.begin(), plan.skipped.end());
  std::sort(skipped_.begin(), skipped_.end(), [](const auto& a, const auto& b) { return a.id < b.id; });
  std::set<std::string> left_out;
  for (const Skipped& x : skipped_) left_out.insert(x.id);

  std::vector<Row> rows;
  std::copy_if(plan.rows.begin(), plan.rows.end(), std::back_inserter(rows),
               [&](const Row& r) { return !left_out.contains(r.label.id); });
  TT_CHECK(!rows.empty(), DataError, dir_, ": none of the ", plan.rows.size(), " photographs could be used");
  std::vector<Label> labels;
  std::string psnr = kJournalHeader;
  for (const Row& r : rows) {
    labels.push_back(r.label);
    if (r.label.fake)
      psnr += csv_cell(r.label.id) + "," + psnr_.at(r.label.id) + "\n";
    else
      psnr += csv_cell(r.label.id) + ",\n";
  }
  write_atomically(dir_ + "/" + kJournal, psnr);
  write_labels(dir_ + "/labels.csv", labels);
  if (s.is_varied()) write_atomically(dir_ + "/treatment.csv", treatments(rows, s));

  DatasetInfo info;
  info.size = s.size;
  info.seed = s.seed;
  info.mask_law = s.mask_law;
  info.negatives = s.negatives;
  const std::vector<std::string> generators = s.generators();
  info.inpainter =
      generators.size() == 1 && SynthSettings::is_random(generators[0])
          ? cat(s.family, ", width ", s.width, ", untrained (seed ", SynthSettings::weights_seed(generators[0]), ")")
          : s.family;
  info.weights_sha256 = weights_sha256;
  info.codec = s.format == "png" ? "png" : "jpeg";
  info.quality = s.format == "png" ? 0 : parse_quality(s.quality, "--quality").low;
  info.treatment = treatment_of(s);
  info.images = int64_t(rows.size());
  info.fakes = std::count_if(rows.begin(), rows.end(), [](const Row& r) { return r.label.fake; });
  for (const Skipped& x : skipped_) info.skipped.push_back(x.reason);
  write_dataset_info(dir_, info);
  for (const std::string& path : shard_journals()) fs::remove(path);
  return rows;
}

}  // namespace telltale
