#pragma once
// Batches of a dataset, decoded ahead by threads. What comes out depends on the seed alone, never on threads or timing.
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "data/dataset.h"
#include "data/image.h"

namespace telltale {

class Random;

/// What is true of a sample as the net sees it: augmented, and mirrored where its image is.
struct Truth {
  Label label;
  int width = 0, height = 0;  ///< of the image that the label's box lies in
  Grey mask = {};             ///< 255 where it was painted, as large as the batch's images; empty unless masks are read
};

/// Numbers that a net learns from one sample.
struct Target {
  int numbers = 0;
  std::function<void(const Truth&, float* to)> write;  ///< by any thread
};

/// A sample on its way into a batch.
struct Example {
  Image image;  ///< as stored
  Truth truth;
};
/// Changes an example before it enters a batch: window, recompression and the like, all of `truth` with it. Called by
/// any thread; all that it draws comes from `random`, which is keyed by (seed, epoch, id).
using Augment = std::function<void(Example&, Random& random)>;

struct LoaderOptions {
  int batch = 32;
  int size = 0;         ///< resize to size × size, bilinear with antialiasing; 0 keeps the dataset's size
  bool shuffle = true;  ///< a new order each epoch, keyed by (seed, epoch)
  bool flip = true;     ///< mirror half of the samples, keyed by (seed, epoch, id)
  uint64_t seed = 0;
  int threads = 0;                   ///< decoding threads; 0 means one per core
  int prefetch = 4;                  ///< batches kept ready
  size_t cache_bytes = 0;            ///< memory for decoded images, so that each is decoded once as far as they fit
  bool once = false;                 ///< hand out each image's pixels once only, to a consumer that keeps them
  bool masks = false;                ///< read masks/<id>.png of the fakes; a real's mask is empty of paint
  std::vector<Target> targets = {};  ///< what a batch carries beside pixels
  /// Whether sample `at` of a batch of `count` is decoded. Of the others `rows`, `samples` and `flip` are told and no
  /// more. None: all are; not together with `once`.
  std::function<bool(int at, int count)> mine = {};
  Augment augment = {};  ///< must leave images (and masks) of size × size; not together with `once`
};

/// A batch, always `batch` samples but for an epoch's last one. Its buffers stay at their addresses for the loader's
/// life, so that a caller may page-lock them.
struct Batch {
  int count = 0;                            ///< samples in it
  int size = 0;                             ///< images are size × size
  int epoch = 0, index = 0;                 ///< which batch this is
  std::vector<uint8_t> pixels;              ///< N,H,W,3, as stored: the kernel that reads them applies `flip`
  std::vector<std::vector<float>> targets;  ///< of each of LoaderOptions::targets N × its numbers
  std::vector<uint8_t> fake;                ///< N: 1 = painted, as it is after augmentation
  std::vector<uint8_t> flip;                ///< N: 1 = mirror this image
  std::vector<int> rows;                    ///< N: index into Dataset::labels()
  std::vector<int> samples;                 ///< N: index into the loader's rows
  std::vector<uint8_t> fresh;               ///< N: 1 = its pixels are here; 0, with `once`: an earlier batch had them
};

struct LoaderStats {
  double total_seconds = 0;   ///< since start()
  double wait_seconds = 0;    ///< of those, the consumer's time inside next()
  double decode_seconds = 0;  ///< summed over threads
  int64_t decoded = 0;        ///< images decoded
  int64_t cached = 0;         ///< images served from memory, or not again
  /// Share of the time in which the consumer was not held up.
  double utilisation() const { return total_seconds > 0 ? 1 - wait_seconds / total_seconds : 1; }
  /// Images per second of one thread.
  double decode_rate() const { return decode_seconds > 0 ? double(decoded) / decode_seconds : 0; }
};

/// One consumer thread; `rows` are indices into dataset.labels(), and the dataset must outlive the loader.
class Loader {
 public:
  /// UsageError for a batch, size or prefetch out of range, no rows, or augmentation of images handed out once.
  Loader(const Dataset& dataset, std::vector<int> rows, const LoaderOptions& options);
  /// Stops the threads and waits for them.
  ~Loader();
  Loader(const Loader&) = delete;
  Loader& operator=(const Loader&) = delete;

  /// Batches in an epoch.
  int batches() const;
  /// Starts, or starts over, at a batch of an epoch; decoding ahead goes on through epochs below `end_epoch`. What
  /// next() has not returned since the loader was made is fresh again.
  void start(int epoch, int first_batch, int end_epoch);
  /// The next batch, valid until the call after; null after the last of end_epoch − 1. An unreadable image surfaces
  /// here, as a DataError naming it, when its batch's turn comes; with `once` start over after it.
  const Batch* next();
  LoaderStats stats() const;

 private:
  void shut_down();
  struct State;
  std::unique_ptr<State> state_;
};

/// The order in which an epoch visits `count` samples: Fisher and Yates' shuffle keyed by (seed, epoch).
std::vector<int> epoch_order(int count, uint64_t seed, int epoch);
/// Whether a sample is mirrored in an epoch.
bool flips(uint64_t seed, int epoch, const std::string& id);

}  // namespace telltale
