// bench pipeline: files to batches. Whether training waits for data depends on this rate against the net's.
#include <cstdio>
#include <numeric>

#include "data/loader.h"
#include "models/device.h"
#include "tools/bench/bench.h"

namespace telltale {

int bench_pipeline(const CommonOptions&, const PipelineBenchOptions& options) {
  const Dataset dataset = Dataset::open(options.data);
  std::vector<int> rows(dataset.labels().size());
  std::iota(rows.begin(), rows.end(), 0);
  LoaderOptions settings;
  settings.batch = options.batch;
  settings.threads = options.workers;
  Loader loader(dataset, rows, settings);
  const double start = now();
  loader.start(0, 0, 1 << 20);
  int64_t images = 0;
  while (now() - start < options.seconds) images += loader.next()->count;
  const double rate = double(images) / (now() - start);
  const LoaderStats stats = loader.stats();
  std::printf("%s\n%lld images of %d px in %.1f s: %.0f images/s; one thread decodes %.0f images/s\n",
              machine_description().c_str(), static_cast<long long>(images), dataset.info().size, now() - start, rate,
              stats.decode_rate());
  write_report(options.json, {{"machine", machine_description()},
                              {"images_per_s", rate},
                              {"decode_images_per_s_per_thread", stats.decode_rate()},
                              {"size", dataset.info().size}});
  return 0;
}

}  // namespace telltale
