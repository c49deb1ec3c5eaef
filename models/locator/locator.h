#pragma once
// A trained locator, ready to look at pictures of any size: what `eval` and `infer` share.
#include <map>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "data/unscale.h"
#include "models/locator/map.h"
#include "models/locator/score.h"
#include "models/locator/task.h"
#include "models/locator/tiles.h"
#include "models/picture_net.h"
#include "weights/weights_file.h"

namespace telltale {

/// Whether metadata is that of a locator's weights.
bool is_locator(const std::map<std::string, std::string>& metadata);
/// What metadata says; throws DataError naming the file when it is no locator's, and the field that is missing or
/// wrong.
LocatorInfo locator_info(const std::string& path, const std::map<std::string, std::string>& metadata);

/// The calibration that a locator's metadata carry, if they do. Throws DataError naming the file when it is damaged.
std::optional<Calibration> calibration_in(const std::string& path, const std::map<std::string, std::string>& metadata);
/// Writes a locator's weights with that calibration in place of any. Throws as write_weights does.
void write_calibrated(const std::string& to, const WeightsFile& locator, const Calibration&);

/// What a locator says of a whole picture.
struct PictureMap {
  int width = 0, height = 0;      ///< of the picture
  std::optional<Scaling> undone;  ///< it was looked at as it was before that
  std::vector<float> logits;  ///< of "painted": ⌈height/2⌉ rows of ⌈width/2⌉, each for 2 × 2 pixels of the picture

  LogitMap view() const;
  /// regions_of the map, their boxes within the picture.
  std::vector<Region> regions(double threshold = 0) const;
  /// The probability that a pixel was painted, in [0, 1]: height rows of width.
  std::vector<float> probabilities() const;
  float logit(int x, int y) const;
};

/// The inference program of a weights file. It is planned anew where a picture's tiles have another size than the last
/// one's. A net that reads grids of JPEG blocks is shown a picture that lies on none as it was before it was scaled,
/// where that can be found (data/unscale.h); its map is scaled as the picture was.
class Locator {
 public:
  struct Settings {
    int tile = 2048;  ///< pictures longer than that are looked at in overlapping tiles: this bounds memory
    /// The same for a net that compares places of its tile with each other. Small, about what it was trained on: in a
    /// larger piece of an untouched photograph more differs, and what is painted stands out less.
    int compared = 336;
    /// Whether scaling is looked for and undone. Pictures before it may have at most kMostUndone pixels.
    bool undo_scaling = true;
    DType compute = DType::f32;
  };
  /// How tiles meet: what is nearer than `reach` to a tile's inner end is left to its neighbour, and over `blend`
  /// pixels one tile's map passes into the next one's.
  struct Seam {
    int reach = 0, blend = 0;
  };
  static constexpr int64_t kMostUndone = 64'000'000;
  /// "locator" looks no farther than its reach, so that its tiles do not show.
  static constexpr Seam kSeam{64, 128};
  /// Each tile of a net that compares is its own picture, whatever its reach: wide blending keeps seams from showing.
  static constexpr Seam kComparedSeam{8, 48};

  /// Loads a weights file. Throws DataError with path and reason when it is none, not a locator's, or has other
  /// shapes. The stream must outlive it.
  Locator(const std::string& weights, Stream&, const Settings&);

  const LocatorInfo& info() const { return info_; }
  const std::string& weights_sha256() const { return sha256_; }
  /// Throws DataError when the net's outputs are not finite.
  PictureMap look(const Image& image) { return std::move(look(std::span(&image, 1))[0]); }
  /// The same of several; a GPU goes from one of equal size to the next without a pause.
  std::vector<PictureMap> look(std::span<const Image>);
  /// What its weights carry, if they do.
  const std::optional<Calibration>& calibration() const { return calibration_; }
  /// The logit of "some of it was painted" of a picture with this map: the calibration's, else picture_logit.
  double score(const PictureMap&) const;
  /// The probability from which a picture is called fake: the calibration's, else .5.
  double threshold() const { return calibration_ ? calibration_->threshold : 0.5; }
  /// A picture as its map calls it: its score and box_of its regions.
  Sample sample_of(const PictureMap&, const Label&) const;
  /// What ran on the last tile.
  Program& program() { return net_->program(); }

 private:
  Tiling tiles(int length) const;
  void plan(int height, int width);
  /// How the picture was scaled, where that is to be undone.
  std::optional<Scaling> scaling_of(const Image&) const;
  /// Fills in the maps, all zero yet, of images of one size.
  void look(std::span<const Image> images, std::span<PictureMap> maps);
  /// Adds a tile's share to the map.
  void add_tile(const std::vector<float>& said, const Tiling::Tile& u, const Tiling::Tile& v, PictureMap&) const;

  Settings settings_;
  Stream& stream_;
  WeightsFile file_;
  LocatorInfo info_;
  std::string sha256_;
  std::optional<Calibration> calibration_;
  int height_ = 0, width_ = 0;  ///< what net_ takes
  std::optional<PictureNet> net_;
};

}  // namespace telltale
