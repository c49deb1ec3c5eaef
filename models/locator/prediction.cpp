#include "models/locator/prediction.h"

#include <algorithm>

namespace telltale {

Located predict(Locator& locator, const Dataset& dataset, const std::vector<int>& rows, int workers,
                const std::function<void(const Batch&)>& after_batch, const OnMap& on_map) {
  const int size = dataset.info().size, side = size / kLocatorScale;
  TT_CHECK(size % kLocatorScale == 0, UsageError, dataset.dir(),
           ": a locator is measured on images of even sizes, not ", size, " pixels");
  LoaderOptions options;
  options.batch = 8;
  options.shuffle = options.flip = false;
  options.threads = workers;
  options.masks = true;
  options.targets = {{side * side, [](const Truth& t, float* to) { shares_of(t.mask, kLocatorScale, to); }}};
  Loader loader(dataset, rows, options);
  loader.start(/*epoch=*/0, /*first_batch=*/0, /*end_epoch=*/1);
  Located located;
  PixelTally tally;
  Image image(size, size);
  while (const Batch* batch = loader.next()) {
    for (size_t i = 0; i < size_t(batch->count); ++i) {
      std::copy_n(batch->pixels.begin() + long(i * image.rgb.size()), image.rgb.size(), image.rgb.begin());
      const PictureMap map = locator.look(image);
      const float* truth = batch->targets[0].data() + i * map.logits.size();
      tally.add(map.logits.data(), truth, int64_t(map.logits.size()));
      located.counts.add(map.logits.data(), truth, int64_t(map.logits.size()));
      const Label& label = dataset.labels()[size_t(batch->rows[i])];
      located.samples.push_back(locator.sample_of(map, label));
      located.maps.push_back({label.fake, map_statistics(map.view()), picture_logit(map.view())});
      if (on_map) on_map(batch->rows[i], image, located.samples.back(), map);
    }
    if (after_batch) after_batch(*batch);
  }
  located.pixels = tally.scores();
  return located;
}

}  // namespace telltale
