#pragma once
// Nets that read pictures: bytes in, heads out. What training, evaluation and inference share.
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "engine/capture.h"
#include "engine/layers/inputs.h"
#include "engine/program.h"

namespace telltale {

/// Bytes to heads as a graph.
struct PictureGraph {
  Graph graph;
  Value pixels;              ///< {N,H,W,3} u8, RGB; with resident images their index {1,1,1,N} i32
  Value flip;                ///< {1,1,1,N} u8: 1 mirrors that image
  std::vector<Value> heads;  ///< what the net says
};
/// Begins one with pixels, flip and the layer "preprocess", whose settings say to what size and how they are
/// normalised; returns what the net reads. `image_size` S may differ from that size: the layer resizes.
Value add_pictures(PictureGraph&, int batch, int image_size, const Preprocess::Settings&);
/// The same for pictures {N,H,W,3} that need not be square.
Value add_pictures(PictureGraph&, const Shape& pictures, const Preprocess::Settings&);

/// The inference program of such a graph.
class PictureNet {
 public:
  PictureNet(PictureGraph, Stream&, const Options&);
  int batch() const { return batch_; }
  Program& program() { return *program_; }
  Value head(size_t k) const { return net_.heads[k]; }
  size_t heads() const { return net_.heads.size(); }
  /// pixels: `count` images back to back, H × W × 3 bytes each, RGB, 1 ≤ count ≤ batch (a short batch costs a whole
  /// one). Enqueues.
  void run(std::span<const uint8_t> pixels, int count);
  /// What a head said of the whole batch at the last run, as f32. Waits.
  std::vector<float> said(size_t head);
  /// What each head said of a whole batch, as f32. Waits for that batch and no longer; to be called once.
  using Answer = std::function<std::vector<std::vector<float>>()>;
  /// As run(), with the answer on its way as well; while it is, the next batch may be enqueued. The one after that
  /// gives the first one's answer up. The net must outlive the answers.
  Answer enqueue(std::span<const uint8_t> pixels, int count);

 private:
  /// The pixels of a whole batch: `pixels` or, where they are fewer, a copy of them.
  const uint8_t* whole_batch(std::span<const uint8_t> pixels, int count);
  void forward();
  PictureGraph net_;
  int batch_ = 0;
  std::unique_ptr<Program> program_;
  std::unique_ptr<Capture> forward_;
  std::vector<uint8_t> staging_;     ///< for short batches
  std::optional<Uploader> upload_;   ///< of enqueue(), as what follows
  std::vector<Readback> downloads_;  ///< of each head; last, since they wait before the rest goes
};

/// A floating-point tensor's values on the host, widened or rounded to f32. Waits for the stream.
std::vector<float> download_f32(Stream&, Tensor);

}  // namespace telltale
