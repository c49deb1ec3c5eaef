#include "models/training/resident.h"

#include <algorithm>

namespace telltale {
namespace {

/// Images [first, first + count) of t.
Tensor part(Tensor t, int first, int count) {
  t.shape.n = 1;
  t.data = t.as<uint8_t>() + int64_t(first) * t.shape.numel();
  t.shape.n = count;
  return t;
}

}  // namespace

ResidentImages::ResidentImages(Stream& s, int images, int size, int batch)
    : stream_(&s),
      images_(s.place(), {images, size, size, 3}, DType::u8),
      arrivals_(s.place(), {batch, size, size, 3}, DType::u8),
      upload_(s, arrivals_.tensor.bytes()) {}

size_t ResidentImages::footprint(const Stream& s, int images, int size, int batch) {
  const size_t uploads = s.is_cuda() ? 2 : 0;  // an Uploader's staging
  return (size_t(images) + (1 + uploads) * size_t(batch)) * size_t(size) * size_t(size) * 3;
}

void ResidentImages::keep(const Batch& batch, int first, int count) {
  const auto fresh = batch.fresh.begin() + first;
  if (std::find(fresh, fresh + count, 1) == fresh + count) return;
  upload_.send(part(arrivals_, 0, count), batch.pixels.data() + size_t(first) * part(arrivals_, 0, 1).bytes());
  const auto samples = batch.samples.begin() + first;
  for (int i = 0; i < count; ++i) {
    if (fresh[i]) copy(*stream_, part(images_, samples[i], 1), part(arrivals_, i, 1));
  }
}

}  // namespace telltale
