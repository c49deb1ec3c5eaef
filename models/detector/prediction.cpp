#include "models/detector/prediction.h"

#include <algorithm>

namespace telltale {

Sample sample_of(const Dataset& dataset, int row, const Verdict& verdict) {
  const Label& label = dataset.labels()[size_t(row)];
  return {label.fake, double(verdict.raw[DetectorRow::label]), real(label.box),
          verdict.box(dataset.info().size, dataset.info().size)};
}

std::vector<Sample> predict(Detector& detector, const Dataset& dataset, const std::vector<int>& rows, int workers,
                            const std::function<void(const Batch&)>& after_batch, const OnSample& on_sample) {
  LoaderOptions options;
  options.batch = detector.batch();
  options.shuffle = options.flip = false;
  options.threads = workers;
  Loader loader(dataset, rows, options);
  loader.start(/*epoch=*/0, /*first_batch=*/0, /*end_epoch=*/1);
  std::vector<Sample> samples;
  samples.reserve(rows.size());
  while (const Batch* batch = loader.next()) {
    const size_t bytes = size_t(batch->count) * size_t(batch->size) * size_t(batch->size) * 3;
    const std::vector<Verdict> verdicts = detector.run(std::span(batch->pixels).first(bytes), batch->count);
    for (size_t i = 0; i < size_t(batch->count); ++i) {
      samples.push_back(sample_of(dataset, batch->rows[i], verdicts[i]));
      if (!on_sample) continue;
      Image image(batch->size, batch->size);
      std::copy_n(batch->pixels.begin() + long(i * image.rgb.size()), image.rgb.size(), image.rgb.begin());
      on_sample(batch->rows[i], image, samples.back());
    }
    if (after_batch) after_batch(*batch);
  }
  return samples;
}

}  // namespace telltale
