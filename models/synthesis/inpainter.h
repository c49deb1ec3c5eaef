#pragma once
// DeepFillv2's generator with its weights, ready to paint.
#include <functional>
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

/// The SHA-256 of each weights file, or "random:SEED" itself, separated by commas: what names the generators in a
/// dataset; empty when none paints. DataError when a file is missing.
std::string generator_name(const SynthSettings&);

/// Paints holes at one size and batch. Only a window around the holes is painted (window.h); a window of another side
/// than the last one's is another program, which takes the last one's place.
class Inpainter {
 public:
  /// One of the settings' generators. DataError with path and reason when the file is no safetensors file or not a
  /// generator's, UsageError when its family is not the one asked for; spectral norm is folded. The stream must outlive
  /// it.
  Inpainter(const SynthSettings&, const std::string& weights, int batch, Stream&);
  int width() const { return width_; }
  const GeneratorNet& net() const { return *net_; }

  /// Each image's is size·size·3 floats, in the hole as the refinement painted it (black 0, white 1), not clamped; what
  /// it is elsewhere is not meant to be used. Waits for this batch and no longer; to be called once.
  using Fills = std::function<std::vector<std::vector<float>>()>;
  /// Paints one to `batch` images with their masks (255 = hole), all size × size, in windows of one side, the widest
  /// that one of them needs; a short batch costs a whole one. While its fills are on their way the next batch may be
  /// enqueued; the one after that gives the first one's up. The inpainter must outlive them.
  Fills enqueue(const std::vector<Image>& photos, const std::vector<Grey>& masks, int side);

 private:
  /// Builds the program for windows of that side, if it is not there; `size` paints everything.
  void use(int side);
  Stream* stream_;
  int batch_, size_, width_, side_ = 0;
  Options options_;
  std::unique_ptr<WeightsFile> file_;  // none: the weights are drawn
  /// Of a batch, one behind the other: images, masks (f32: the program may compute in another type) and corners; then,
  /// in their place, what was painted.
  Buffer staging_;
  Value image_, mask_, corner_;
  const GeneratorNet* net_ = nullptr;
  Inpainted painted_;
  std::unique_ptr<Program> program_;
  std::unique_ptr<Capture> forward_;
  Uploader upload_;
  Readback download_;  // last: it waits before the rest goes
};

/// All generators of the settings, one in memory at a time.
class Generators {
 public:
  /// Opens each, so that what is wrong with one is said before anything is painted; throws what Inpainter does.
  Generators(const SynthSettings&, Stream&);
  /// The k-th, in the place of the one before.
  Inpainter& use(int k);
  int batch() const { return settings_.batch; }
  /// Whether the next batch may be enqueued while one is painted: a GPU works by itself.
  bool overlap() const { return stream_.is_cuda(); }
  /// How many batches must use windows of a side before its program has paid.
  int worth() const;
  /// Their families, each once, separated by commas; empty without generators.
  const std::string& families() const { return families_; }

 private:
  SynthSettings settings_;
  Stream& stream_;
  std::vector<std::string> weights_;
  std::string families_;
  int current_ = -1;
  std::unique_ptr<Inpainter> inpainter_;
};

}  // namespace telltale
