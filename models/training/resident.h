#pragma once
// The training images where the net runs, so that each is decoded and sent once.
#include "data/loader.h"
#include "kernels/device/transfer.h"

namespace telltale {

/// {M,S,S,3} bytes on the stream's device, one image a sample, filled as a loader with LoaderOptions::once hands them
/// out: from then on a batch is an index into them.
class ResidentImages {
 public:
  /// `batch`: the most samples that one keep() looks at. Throws DeviceError when memory runs out.
  ResidentImages(Stream&, int images, int size, int batch);
  /// What a constructor with these arguments takes on the device, in bytes.
  static size_t footprint(const Stream&, int images, int size, int batch);
  Tensor images() const { return images_; }
  /// Enqueues putting the fresh ones of a batch's samples [first, first + count) into their places.
  void keep(const Batch&, int first, int count);

 private:
  Stream* stream_;
  OwnedTensor images_, arrivals_;  ///< arrivals_: images in a batch's order
  Uploader upload_;
};

}  // namespace telltale
