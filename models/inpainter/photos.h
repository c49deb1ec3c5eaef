#pragma once
// Training crops with holes, cut ahead by threads. What comes out depends on the seed alone.
#include <deque>
#include <functional>
#include <future>
#include <set>
#include <vector>

#include "base/task_pool.h"
#include "data/image.h"
#include "data/mask.h"
#include "data/photos.h"

namespace telltale {

/// A photograph for validation: its centre square.
struct HeldOut {
  std::string id;
  Image picture;
};

/// Which photographs train and which are held out, by a seeded hash of their bytes: `held_out` of them, or a twentieth
/// if that is fewer, but one at least; copies of one photograph stay together. In the place of a held-out one that
/// cannot be decoded, which a warning names, steps one that trains.
struct PhotoSplit {
  std::vector<Photo> train;
  std::vector<HeldOut> validation;
  std::string digest;  ///< SHA-256 over all photographs' ids and hashes
};
/// Pictures held out are size × size. Throws DataError when there are fewer than two photographs that can be read.
PhotoSplit split_photos(std::vector<Photo> photos, int held_out, int size, uint64_t seed, TaskPool& pool);

struct CropSettings {
  int size = 256, batch = 16;
  double min_crop = 0.5, max_crop = 1;  ///< see InpaintRecipe
  bool flip = true;
  MaskLaw law = MaskLaw::mixed;
  AreaBounds area;
  uint64_t seed = 0;
  float black = 0;                        ///< in the images that come out; white is 1
  std::function<bool(int at)> mine = {};  ///< which samples of a batch are cut; the others stay black. None: all
};

/// N images {N,S,S,3} in [black,1] and their masks {N,S,S,1}, 1 = hole.
struct PaintBatch {
  std::vector<float> images, masks;
};

/// An endless run over the photographs, in a new order each time round. Batch k is a function of settings and k.
class CropSource {
 public:
  CropSource(std::vector<Photo> photos, const CropSettings&, TaskPool&);
  ~CropSource();
  /// The next call of next() gives batch k.
  void start(int64_t k);
  /// Photographs that cannot be read are replaced by their neighbours, with a warning each; DataError when none can.
  PaintBatch next();

 private:
  PaintBatch make(int64_t k);
  void cut(int64_t sample, float* image, float* mask);
  Image photograph(size_t index);
  void prefetch();

  const std::vector<Photo> photos_;
  const CropSettings s_;
  TaskPool& pool_;
  int64_t issued_ = 0;
  std::deque<std::future<PaintBatch>> ahead_;
  std::mutex warned_mutex_;
  std::set<size_t> warned_;
};

/// A photograph, in [black,1], and a mask as the nets take them, at place i of a batch.
void write_sample(const Image& image, const Grey& mask, float black, float* to_image, float* to_mask);

}  // namespace telltale
