#include "models/detector/prediction.h"

namespace telltale {

Sample sample_of(const Dataset& dataset, int row, const Verdict& verdict) {
  const Label& label = dataset.labels()[size_t(row)];
  return {label.fake, double(verdict.raw[DetectorRow::label]), real(label.box),
          verdict.box(dataset.info().size, dataset.info().size)};
}

std::vector<Sample> predict(Detector& detector, const Dataset& dataset, const std::vector<int>& rows, int workers,
                            const std::function<void(const Batch&)>& after_batch) {
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
    for (int i = 0; i < batch->count; ++i)
      samples.push_back(sample_of(dataset, batch->rows[size_t(i)], verdicts[size_t(i)]));
    if (after_batch) after_batch(*batch);
  }
  return samples;
}

}  // namespace telltale
