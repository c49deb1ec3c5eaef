#pragma once
// DeepFillv2's generator with its weights, ready to paint.
#include <memory>
#include <string>
#include <vector>

#include "data/image.h"
#include "engine/capture.h"
#include "engine/program.h"
#include "models/synthesis/settings.h"
#include "nets/nets.h"
#include "weights/weights_file.h"

namespace telltale {

/// The SHA-256 of a weights file, or "random:SEED" itself: what names the generator in a dataset. DataError when the
/// file is missing.
std::string generator_name(const SynthSettings&);

/// Paints holes at one size and batch. Only a window around the holes is painted (window.h); a window of another side
/// than the last one's is another program, which takes the last one's place.
class Inpainter {
 public:
  /// DataError with path and reason when the file is no safetensors file or not a generator's, UsageError when its
  /// family is not the one asked for; spectral norm is folded. The stream must outlive it.
  Inpainter(const SynthSettings&, int batch, Stream&);
  int batch() const { return batch_; }
  int width() const { return width_; }
  const GeneratorNet& net() const { return *net_; }

  /// One to `batch` images with their masks (255 = hole), all size × size. Each result is size·size·3 floats, in the
  /// hole as the refinement painted it (black 0, white 1), not clamped; what it is elsewhere is not meant to be used. A
  /// short batch costs a whole one, and all take the widest window that one of them needs.
  std::vector<std::vector<float>> paint(const std::vector<Image>& photos, const std::vector<Grey>& masks, int side);
  /// How many batches must use windows of a side before its program has paid.
  int worth() const;

 private:
  /// Builds the program for windows of that side, if it is not there; `size` paints everything.
  void use(int side);
  Stream* stream_;
  int batch_, size_, width_, side_ = 0;
  Options options_;
  std::unique_ptr<WeightsFile> file_;  // none: the weights are drawn
  OwnedTensor staging_;                // f32, the size of the images: the program may compute in another type
  Value image_, mask_, corner_;
  const GeneratorNet* net_ = nullptr;
  Inpainted painted_;
  std::unique_ptr<Program> program_;
  std::unique_ptr<Capture> forward_;
};

}  // namespace telltale
