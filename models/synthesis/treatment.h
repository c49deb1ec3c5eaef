#pragma once
// What is done to each image: by whom it is painted, how the paint is set in, what it passed through before and after.
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "data/mask.h"
#include "data/painters/blend.h"

namespace telltale {

/// The painter that is a net: DeepFillv2's generator.
inline constexpr const char* kGeneratorPainter = "deepfill";

/// Names with weights, drawn from.
struct Mixture {
  std::vector<std::pair<std::string, double>> parts;
  /// The part that `u` in [0, 1) falls on.
  const std::string& at(double u) const;
  bool has(const std::string& name) const;
};
/// "NAME[:WEIGHT],…" with weights above 0 (1 if not said). `option` begins the message of the UsageError.
Mixture parse_mixture(const std::string& text, const std::string& option);
/// Of --painter: deepfill, any painter of data/painters, or a kind (inpaint, reprocess), whose weight its painters
/// share out, or `all`. A name that comes twice has both weights.
Mixture parse_painters(const std::string& text);

/// Whole numbers from low to high, both included.
struct Qualities {
  int low = 95, high = 95;
};
/// "Q" or "LOW:HIGH", JPEG qualities.
Qualities parse_quality(const std::string& text, const std::string& option);

/// What happens by chance, and within which bounds.
struct Chance {
  double probability = 0, low = 0, high = 0;
};
/// "P" (then `low` and `high` are the bounds) or "P:LOW:HIGH", with low and high between `least` and `most`.
Chance parse_chance(const std::string& text, const std::string& option, Chance standard, double least, double most);

struct TreatmentPlan {
  Mixture painters, blends;
  std::vector<std::string> generators;  ///< names of the weights files, as they stand behind "deepfill:"; one: none
  Qualities quality;
  Chance past, scale;
  double camera = 0;  ///< the probability that a photograph passes through_camera first
};

/// One image's. What a real image passes through, a fake does by the same distribution.
struct Treatment {
  std::string painter;  ///< empty for real images
  std::string told;     ///< painter as labels.csv has it: the generator's name behind it if there are several
  int generator = 0;    ///< which of the weights files
  Blend blend = Blend::hard;
  double feather = 1;   ///< pixels
  double scale = 1;     ///< the size at which is painted over the image's
  bool camera = false;  ///< another camera's, by through_camera
  int past = 0;         ///< JPEG quality at which the photograph was saved once before; 0: never
  int other_past = 0;   ///< the same for the photograph that a splice comes from
  int quality = 95;     ///< of the JPEG that is written
  std::string other;    ///< path of the photograph that a splice comes from
};

/// A function of plan, seed, id and label; `other` is left empty.
Treatment draw_treatment(const TreatmentPlan& plan, uint64_t seed, const std::string& id, bool fake);

/// The photograph as it is once it was saved as a JPEG and read again; quality 0: as it is.
Image with_past(const Image& photo, int quality);

/// The photograph with the hole painted by a painter of data/painters. `other` may be null where the painter is no
/// splice.
Image paint_image(const Image& photo, const Grey& mask, const Treatment& t, const Image* other, uint64_t seed,
                  const std::string& id);

/// The photograph with `fill` (as compose() takes it) set into the hole.
Image set_in(const Image& photo, std::vector<float> fill, const Grey& mask, const Treatment& t, bool goes_on);

}  // namespace telltale
