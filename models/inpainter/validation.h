#pragma once
// How well a generator paints photographs it never saw.
#include <memory>
#include <string>
#include <vector>

#include "engine/program.h"
#include "models/inpainter/image_quality.h"
#include "models/inpainter/photos.h"
#include "models/inpainter/recipe.h"
#include "nets/nets.h"

namespace telltale {

/// Means over the held-out photographs; see HoleQuality.
struct PaintQuality {
  HoleQuality painted;
  double mean_fill_psnr = 0;  ///< of mean_colour_fill
  double contrast = 0;        ///< hole_contrast of the paint over that of the photograph
};

/// The held-out photographs with fixed holes, and the generator that is validated and kept: the moving average of the
/// one in training.
class InpaintValidation {
 public:
  /// `photos`: one at least, of the recipe's size.
  InpaintValidation(Stream&, const InpaintRecipe&, std::vector<HeldOut> photos, uint64_t seed);

  size_t count() const { return photos_.size(); }
  Program& average() { return *average_; }
  /// Moves the average towards the generator in training: by `decay`, or in the first steps by less.
  void follow(const Program& generator, int64_t step, double decay);
  void copy_from(const Program& generator);

  /// Paints all photographs.
  PaintQuality evaluate();
  /// Writes a PNG of the first photographs, a row each: original, masked, coarse, refined as composed. Needs
  /// evaluate() before.
  void write_sheet(const std::string& path, const std::string& caption) const;

 private:
  struct Painted {
    Image coarse, refined;
  };
  void paint(size_t first, size_t count);

  Stream* stream_;
  int size_, batch_;
  float black_;
  std::vector<HeldOut> photos_;
  std::vector<Grey> masks_;
  std::vector<Painted> painted_;
  Value image_, mask_;
  Inpainted net_;
  std::unique_ptr<Program> average_;
};

}  // namespace telltale
