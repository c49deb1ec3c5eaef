#pragma once
// How well a locator finds what other people's generators painted, and how quiet it stays on photographs.
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/ranks.h"
#include "base/table.h"
#include "models/locator/locator.h"
#include "models/metrics.h"

namespace telltale {

/// One picture of a folder of fills.
struct FillPicture {
  enum class Kind { fake, original, camera };
  Kind kind = Kind::fake;
  std::string id, generator;  ///< the generator of a fake
  std::string path, mask;     ///< the mask's of a fake
};
/// DIR/fills.tsv names fake/<id>.jpg, mask/<id>.png (white = painted) and, where its column "original" says "yes",
/// real/<id>.jpg; DIR/camera.tsv names camera/<id>.jpg. Fakes come first, then originals, then cameras. Throws
/// DataError naming the file and what it lacks.
std::vector<FillPicture> read_fills(const std::string& dir);

/// What a locator said of one of them.
struct FillFinding {
  FillPicture picture;
  Sample sample;                              ///< box of the mask, box_of its regions
  int64_t both = 0, called = 0, painted = 0;  ///< of a fake's pixels, at a probability of .5
};
/// Every picture saved as a JPEG of that quality, 4:2:0, and looked at. `after_each` is called after each; what it
/// throws ends the loop. A picture that cannot be read, or whose mask does not fit, costs itself alone: `refused` is
/// told why, and it has no finding. Ranks share the pictures; what is called, and returned, is rank 0's.
std::vector<FillFinding> look_at_fills(Locator&, const std::vector<FillPicture>&, int quality,
                                       const std::function<void()>& after_each,
                                       const std::function<void(const std::string& why)>& refused,
                                       Ranks& = Ranks::none());

/// Of one generator's fakes, or of all.
struct FillScore {
  std::string generator;
  int64_t fakes = 0;
  double auc = 0;       ///< fakes against all originals and cameras
  double found = 0;     ///< share of the fakes whose logit exceeds FillScores::quiet_logit
  double box_iou = 0;   ///< mean over the fakes; a fake called real, at the threshold, counts 0
  double pixel_f1 = 0;  ///< over all pixels of the fakes
};
struct FillScores {
  double threshold = 0.5;    ///< probability from which a picture is called fake
  double quiet_logit = 0;    ///< at most 5 % of the cameras exceed it
  double camera_alarms = 0;  ///< share of the cameras called fake at the threshold
  double original_alarms = 0;
  int64_t originals = 0, cameras = 0;
  std::vector<FillScore> generators;  ///< by name
  FillScore all;
};
/// Throws DataError when there are no fakes or no cameras.
FillScores score_fills(const std::vector<FillFinding>&, double threshold = 0.5);

/// A line for each generator and one for all.
Table fill_table(const FillScores&);
nlohmann::ordered_json to_json(const FillScores&);

}  // namespace telltale
