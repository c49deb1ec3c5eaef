#include "models/detector/prediction.h"

#include <algorithm>

#include "base/packed.h"
#include "models/shared_batches.h"

namespace telltale {

Sample sample_of(const Dataset& dataset, int row, const Verdict& verdict) {
  const Label& label = dataset.labels()[size_t(row)];
  return {label.fake, double(verdict.raw[DetectorRow::label]), real(label.box),
          verdict.box(dataset.info().size, dataset.info().size)};
}

std::vector<Sample> predict(Detector& detector, const Dataset& dataset, const std::vector<int>& rows, int workers,
                            const std::function<void(int)>& after_batch, const Keep& keep, Ranks& ranks) {
  struct Said {
    std::vector<Sample> samples;
    std::vector<std::string> kept;
  };
  LoaderOptions options;
  options.batch = detector.batch();
  options.shuffle = options.flip = false;
  options.threads = workers;
  std::vector<Sample> samples;
  samples.reserve(rows.size());
  share_batches<Said>(
      ranks, dataset, rows, options, detector.program().stream().is_cuda(),
      [&](const Batch& batch) {
        const auto count = size_t(batch.count);
        const size_t bytes = count * size_t(batch.size) * size_t(batch.size) * 3;
        const Detector::Answer verdicts = detector.enqueue(std::span(batch.pixels).first(bytes), batch.count);
        std::vector<Image> images;
        for (size_t i = 0; keep.make && i < count; ++i) images.push_back(image_in(batch, i));
        return [&, verdicts, images = std::move(images),
                seen = std::vector(batch.rows.begin(), batch.rows.begin() + long(count))] {
          Said said;
          const std::vector<Verdict> all = verdicts();
          for (size_t i = 0; i < seen.size(); ++i) {
            said.samples.push_back(sample_of(dataset, seen[i], all[i]));
            if (keep.make) said.kept.push_back(keep.make(seen[i], images[i], said.samples.back()));
          }
          return said;
        };
      },
      [&](const Said& said) {
        samples.insert(samples.end(), said.samples.begin(), said.samples.end());
        for (const std::string& kept : said.kept) keep.take(kept);
        if (after_batch) after_batch(int(said.samples.size()));
      },
      [](const Said& said) {
        return Packed{{"samples", packed(said.samples)}, {"kept", packed(said.kept)}};
      },
      [](const Packed& p) {
        return Said{values_in<Sample>(p.at("samples")), texts_in(p.at("kept"))};
      });
  return samples;
}

}  // namespace telltale
