#pragma once
// A trained detector, ready to look at images: what `eval` and `infer` share, and the graph `train` trains.
#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "losses/detector_row.h"
#include "models/picture_net.h"
#include "models/real_box.h"
#include "weights/family.h"

namespace telltale {

/// What a detector is. A weights file of ours says it in its metadata, each field under its own name.
struct DetectorInfo {
  std::string net;                      ///< a name of detector_nets()
  int outputs = DetectorRow::count;     ///< logit and four corners
  double width = 1;                     ///< DetectorSettings::width
  int size = 256;                       ///< the net sees size × size
  std::string box_unit = "normalised";  ///< what the box loss of its training measured in; outputs are always fractions
};

/// A detector as a graph; its head is {N,1,1,DetectorRow::count}. `image_size` may differ from info.size: the first
/// layer resizes. `resident` {M,S,S,3} u8: images that lie where the net will run, and outlive it. Throws UsageError on
/// an unknown net.
PictureGraph detector_graph(const DetectorInfo& info, int batch, int image_size, float dropout = 0.5f,
                            Tensor resident = {});

/// DataError for the metadata of a checkpoint, saying which file to take.
void refuse_checkpoint(const std::map<std::string, std::string>& metadata);
/// Reads metadata; throws DataError naming the file and the field that is missing or wrong.
DetectorInfo detector_info(const std::string& path, const std::map<std::string, std::string>& metadata);
/// What tensors alone say: 256 × 256 and normalised boxes are taken for granted. Throws DataError when they are no
/// detector's.
DetectorInfo detector_info(const NetIdentity& net);
/// The reverse of the first.
std::map<std::string, std::string> detector_metadata(const DetectorInfo& info);

/// What a detector says of one image.
struct Verdict {
  std::array<float, DetectorRow::count> raw{};  ///< the net's outputs
  double fake_probability() const;
  /// The predicted box in pixels of a width × height image: corners sorted (as the losses see them), clamped to the
  /// image, not rounded. May be empty.
  RealBox box(int width, int height) const;
  /// The same rounded to whole pixels.
  Box pixel_box(int width, int height) const;
};
/// Throws DataError when an output is not finite.
Verdict verdict_of(std::span<const float> raw);

/// The inference program of a weights file, at one batch size.
class Detector {
 public:
  struct Settings {
    int batch = 1;
    int image_size = 0;  ///< of the images given to run(): square; 0 means the net's own size
    DType compute = DType::f32;
    std::optional<bool> stems = std::nullopt;  ///< as in engine/program.h
  };
  /// Loads a weights file in any form. Throws DataError with path and reason when it is none, not a detector's, of
  /// another net or with other shapes. The stream must outlive it.
  Detector(const std::string& weights, Stream&, const Settings&);

  const DetectorInfo& info() const { return info_; }
  const std::string& weights_sha256() const { return sha256_; }
  int batch() const { return settings_.batch; }
  int image_size() const { return settings_.image_size; }
  Program& program() { return net_->program(); }

  /// What it says of each image of a batch; see PictureNet::Answer. Throws DataError when an output is not finite.
  using Answer = std::function<std::vector<Verdict>()>;
  /// pixels: see PictureNet::run, S being image_size(); the rest as PictureNet::enqueue says.
  Answer enqueue(std::span<const uint8_t> pixels, int count);
  std::vector<Verdict> run(std::span<const uint8_t> pixels, int count) { return enqueue(pixels, count)(); }

 private:
  Settings settings_;
  DetectorInfo info_;
  std::string sha256_;
  std::optional<PictureNet> net_;
};

}  // namespace telltale
