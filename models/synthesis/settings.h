#pragma once
// What synth is asked to do.
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/args.h"
#include "base/ranks.h"
#include "data/mask.h"
#include "data/split.h"
#include "models/synthesis/treatment.h"

namespace telltale {

/// In weights/: the generator that Telltale trained itself.
inline constexpr const char* kShippedGenerator = "deepfill_v2.safetensors";

/// One of `count` runs that make a dataset together: of the groups of fakes, and of the real images, those whose
/// number leaves `index` − 1 when divided by `count`.
struct Shard {
  int index = 1, count = 1;
  bool has(size_t number) const { return number % size_t(count) == size_t(index - 1); }
};

struct SynthSettings {
  std::string photos;  ///< folder of photographs; empty when scenes are drawn
  int scenes = 0;      ///< procedural photographs to draw into OUT/photos instead
  std::string out;
  std::string weights;  ///< weights files or "random:SEED", separated by commas; empty: kShippedGenerator
  std::string family;   ///< of the generator; empty: what the file holds, or csqiangwen
  int width = 48;       ///< channels of a random generator's first convolution
  std::string boxes;    ///< CSV that gives ids, labels, boxes and row order; empty: drawn by law
  bool paper_csv = false;
  int count = 0;              ///< 0: every photograph
  std::string shape = "256";  ///< of the images: a side, "native" (then 256) or "native:SIDE"
  int size = 256;             ///< the side, by read_size()
  std::string painter;        ///< as parse_painters takes it; empty: the generator alone, and labels.csv names none
  std::string blend = "hard", past, fill_scale;  ///< parse_mixture, parse_chance
  double camera = 0;                             ///< TreatmentPlan::camera
  std::string mask_law = "paper";
  std::string negatives = "placebo";
  std::string quality = "95";  ///< parse_quality
  std::string format = "jpg";
  std::string split;  ///< empty: the table's own column, or .7,.15,.15
  int batch = 0;      ///< 0: chosen by device
  std::string precision = "f32";
  std::string sheet;  ///< picture of the first fakes to write at the end; empty: none
  std::string shard;  ///< "i/n"; empty: the whole dataset
  uint64_t seed = 0;
  Ranks* ranks = &Ranks::none();  ///< who make it together
  double rank_timeout = 600;

  /// Whether images are cut out of the photographs instead of scaled.
  bool is_native() const { return shape.starts_with("native"); }
  /// Sets `size` from `shape`; UsageError when it is none.
  void read_size();
  /// The weights one by one; none when no generator paints.
  std::vector<std::string> generators() const;
  /// Whether weights are drawn by seed instead of read.
  static bool is_random(const std::string& weights) { return weights.rfind("random:", 0) == 0; }
  static uint64_t weights_seed(const std::string& weights);
  /// Whether images differ in more than what one generator paints: then labels.csv names painters, and dataset.json and
  /// treatment.csv say what was done.
  bool is_varied() const;
  TreatmentPlan treatments() const;
  /// None for the whole dataset. UsageError when it is not i/n with 1 ≤ i ≤ n. Of several ranks each has its own.
  std::optional<Shard> part() const;
  SplitPlan split_plan() const { return parse_split(split.empty() ? ".7,.15,.15" : split); }
};

void add_options(CLI::App&, SynthSettings&);
/// Throws UsageError for combinations that CLI11 cannot refuse by itself.
void check(const SynthSettings&);
/// The options behind is_varied() by name, for dataset.json; empty without.
std::map<std::string, std::string> treatment_of(const SynthSettings&);
/// Everything that decides what the dataset's bytes are, but for the photographs: kept in OUT/synth.json, so that a
/// folder is only continued with the settings it was begun with. The shard is no part of it.
nlohmann::json fingerprint(const SynthSettings&, const std::string& weights_sha256, bool cuda);

}  // namespace telltale
