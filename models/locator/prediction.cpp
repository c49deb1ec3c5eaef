#include "models/locator/prediction.h"

#include <algorithm>

#include "models/shared_batches.h"

namespace telltale {

Located predict(Locator& locator, const Dataset& dataset, const std::vector<int>& rows, int workers,
                const std::function<void(int)>& after_batch, const KeepMap& keep, Ranks& ranks) {
  const int size = dataset.info().size, side = size / kLocatorScale;
  TT_CHECK(size % kLocatorScale == 0, UsageError, dataset.dir(),
           ": a locator is measured on images of even sizes, not ", size, " pixels");
  LoaderOptions options;
  options.batch = 8;
  options.shuffle = options.flip = false;
  options.threads = workers;
  options.masks = true;
  options.targets = {{side * side, [](const Truth& t, float* to) { shares_of(t.mask, kLocatorScale, to); }}};
  struct Said {
    std::vector<Sample> samples;
    std::vector<ScoredMap> maps;
    std::vector<float> logits, truth;  ///< of all pictures, one behind the other
    std::vector<std::string> kept;
  };
  Located located;
  PixelTally tally;
  share_batches<Said>(
      ranks, dataset, rows, options, /*overlap=*/false,  // the locator does so within a batch
      [&](const Batch& batch) {
        return [&] {
          Said said;
          const auto numbers = size_t(options.targets[0].numbers);
          said.truth.assign(batch.targets[0].begin(), batch.targets[0].begin() + long(size_t(batch.count) * numbers));
          std::vector<Image> images;
          for (size_t i = 0; i < size_t(batch.count); ++i) images.push_back(image_in(batch, i));
          const std::vector<PictureMap> maps = locator.look(images);
          for (size_t i = 0; i < images.size(); ++i) {
            const PictureMap& map = maps[i];
            const Label& label = dataset.labels()[size_t(batch.rows[i])];
            said.logits.insert(said.logits.end(), map.logits.begin(), map.logits.end());
            said.samples.push_back(locator.sample_of(map, label));
            said.maps.push_back({label.fake, map_statistics(map.view()), picture_logit(map.view())});
            if (keep.make) said.kept.push_back(keep.make(batch.rows[i], images[i], said.samples.back(), map));
          }
          return said;
        };
      },
      [&](const Said& said) {
        const size_t pixels = said.logits.size() / said.samples.size();
        for (size_t i = 0; i < said.logits.size(); i += pixels) {
          tally.add(said.logits.data() + i, said.truth.data() + i, int64_t(pixels));
          located.counts.add(said.logits.data() + i, said.truth.data() + i, int64_t(pixels));
        }
        located.samples.insert(located.samples.end(), said.samples.begin(), said.samples.end());
        located.maps.insert(located.maps.end(), said.maps.begin(), said.maps.end());
        for (const std::string& kept : said.kept) keep.take(kept);
        if (after_batch) after_batch(int(said.samples.size()));
      },
      [](const Said& said) {
        return Packed{{"samples", packed(said.samples)},
                      {"maps", packed(said.maps)},
                      {"logits", packed(said.logits)},
                      {"truth", packed(said.truth)},
                      {"kept", packed(said.kept)}};
      },
      [](const Packed& p) {
        return Said{values_in<Sample>(p.at("samples")), values_in<ScoredMap>(p.at("maps")),
                    values_in<float>(p.at("logits")), values_in<float>(p.at("truth")), texts_in(p.at("kept"))};
      });
  located.pixels = tally.scores();
  return located;
}

}  // namespace telltale
