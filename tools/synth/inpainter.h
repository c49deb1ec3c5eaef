#pragma once
// DeepFillv2's generator with its weights, ready to paint.
#include <memory>
#include <string>
#include <vector>

#include "data/image.h"
#include "engine/capture.h"
#include "engine/program.h"
#include "nets/nets.h"
#include "tools/synth/settings.h"

namespace telltale {

/// The SHA-256 of a weights file, or "random:SEED" itself: what names the generator in a dataset. DataError when the
/// file is missing.
std::string generator_name(const SynthSettings&);

/// Paints holes at one size and batch.
class Inpainter {
 public:
  /// DataError with path and reason when the file is no safetensors file or not a generator's, UsageError when its
  /// family is not the one asked for; spectral norm is folded. The stream must outlive it.
  Inpainter(const SynthSettings&, int batch, Stream&);
  int batch() const { return batch_; }
  int width() const { return width_; }
  const GeneratorNet& net() const { return *net_; }

  /// One to `batch` images with their masks (255 = hole), all size × size. Each result is size·size·3 floats, the whole
  /// picture as the refinement painted it (black 0, white 1), not clamped; only the hole is meant to be used. A short
  /// batch costs a whole one.
  std::vector<std::vector<float>> paint(const std::vector<Image>& photos, const std::vector<Grey>& masks);

 private:
  int batch_, size_, width_;
  OwnedTensor staging_;  // f32, the size of the images: the program may compute in another type
  Value image_, mask_;
  const GeneratorNet* net_ = nullptr;
  Inpainted painted_;
  std::unique_ptr<Program> program_;
  std::unique_ptr<Capture> forward_;
};

}  // namespace telltale
