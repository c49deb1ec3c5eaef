#pragma once
// One picture looked at by a locator: whether something was painted into it, how sure that is, and where.
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "data/codec.h"
#include "models/locator/locator.h"

namespace telltale {

/// A decoded picture with what its file says of it.
struct Photograph {
  std::string name;  ///< its path
  Image image;
  int jpeg_quality = 0;  ///< of the file, as jpeg_quality estimates it; 0 where it is no JPEG
  Remarks remarks;       ///< of reading: lines "name: …"
};
/// Throws as read_image does.
Photograph read_photograph(const std::string& path);
/// The same from a file's bytes; `name` stands for the path.
Photograph decode_photograph(std::span<const uint8_t> bytes, const std::string& name);

enum class Answer { real, fake, uncertain };
/// "real", "fake", "uncertain".
const char* name_of(Answer);

struct Inspection {
  std::string name;
  PictureMap map;
  double probability = 0;  ///< that some of it was painted, in [0, 1]
  /// The share of pixels whose call is expected to be right; none where the weights carry no calibration.
  std::optional<double> reliability;
  Answer answer = Answer::real;  ///< uncertain exactly where there are reasons
  /// Why no answer is given, and what to keep in mind of one that is; each a clause such as "too small (20x30; from 64
  /// pixels a side on)".
  std::vector<std::string> reasons, notes;
  std::vector<Region> regions;  ///< of the map where the probability is at least .5, the largest first; at most 32
};

struct InspectionSettings {
  /// The probability from which a picture is called fake, and below which it is called real; none: as the weights were
  /// calibrated, with doubt between their two thresholds.
  std::optional<double> threshold;
};
/// Looks at a picture of any size; memory is the picture's, a byte per pixel of map and the net's on one tile. Throws
/// DataError when the net's outputs are not finite.
Inspection inspect(Locator&, const Photograph&, const InspectionSettings& = {});

/// width, height, fake_probability, reliability, verdict, why, notes (these three where there are any), scaled_from
/// (where that was undone: width, height, filter), box (box_of its regions, null unless the verdict is fake), regions
/// ({box, area, probability}).
nlohmann::ordered_json to_json(const Inspection&);
}  // namespace telltale
