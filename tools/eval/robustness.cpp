#include "tools/eval/robustness.h"

#include <algorithm>
#include <cstdio>

#include "base/atomic_file.h"
#include "base/deal.h"
#include "base/double_buffer.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "base/packed.h"
#include "base/progress.h"
#include "data/codec.h"

namespace telltale {
namespace {

/// As many, evenly spaced.
std::vector<int> some_of(const std::vector<int>& rows, size_t count) {
  std::vector<int> some;
  for (size_t i = 0; i < std::min(count, rows.size()); ++i)
    some.push_back(rows[i * rows.size() / std::min(count, rows.size())]);
  return some;
}

std::vector<Labelled> read_pictures(const Dataset& dataset, const std::vector<int>& rows, int pictures) {
  std::vector<int> fakes, reals;
  for (const int row : rows) (dataset.labels()[size_t(row)].fake ? fakes : reals).push_back(row);
  std::vector<Labelled> read;
  for (const std::vector<int>* of : {&fakes, &reals})
    for (const int row : some_of(*of, size_t(pictures + 1) / 2))
      read.push_back({read_image(dataset.image_path(row)), dataset.labels()[size_t(row)]});
  return read;
}

std::vector<Sample> look_with(Locator& locator, std::span<const Labelled> pictures) {
  std::vector<Sample> samples;
  for (const Labelled& l : pictures) {
    TT_CHECK(!interrupted(), Error, "stopped before the end");
    samples.push_back(locator.sample_of(locator.look(l.image), l.label));
  }
  return samples;
}

std::vector<Sample> look_with(Detector& detector, std::span<const Labelled> pictures) {
  const int size = detector.image_size();
  const auto most = size_t(detector.batch());
  const auto batch_of = [&](size_t item) {
    return pictures.subspan(item * most, std::min(most, pictures.size() - item * most));
  };
  DoubleBuffer<std::vector<Verdict>> verdicts(detector.program().stream().is_cuda(), [&](size_t item) {
    TT_CHECK(!interrupted(), Error, "stopped before the end");
    std::vector<uint8_t> pixels;
    for (const Labelled& l : batch_of(item)) {
      const Image seen = resize(l.image, size, size, Filter::bilinear);
      pixels.insert(pixels.end(), seen.rgb.begin(), seen.rgb.end());
    }
    return detector.enqueue(pixels, int(batch_of(item).size()));
  });
  std::vector<Sample> samples;
  verdicts.run((pictures.size() + most - 1) / most, [&](size_t item, const std::vector<Verdict>& of_batch) {
    const auto batch = batch_of(item);
    for (size_t i = 0; i < batch.size(); ++i)
      samples.push_back({batch[i].label.fake, double(of_batch[i].raw[DetectorRow::label]), real(batch[i].label.box),
                         of_batch[i].box(batch[i].image.width, batch[i].image.height)});
  });
  return samples;
}

}  // namespace

std::vector<RobustnessPoint> measure_robustness(Locator* locator, Detector* detector, const Dataset& dataset,
                                                const std::vector<int>& rows, int pictures, double threshold,
                                                Ranks& ranks) {
  const std::vector<Labelled> read = read_pictures(dataset, rows, pictures);
  Progress bar("robustness", int64_t(robustness_changes().size()), "changes");
  return sweep_robustness(
      read,
      [&](std::span<const Labelled> changed) {
        const size_t group = locator ? 1 : size_t(detector->batch());
        std::vector<Sample> samples;
        deal<std::vector<Sample>>(
            ranks, {.items = (changed.size() + group - 1) / group},
            [&](size_t item, std::span<const size_t>) {
              const auto some = changed.subspan(item * group, std::min(group, changed.size() - item * group));
              return locator ? look_with(*locator, some) : look_with(*detector, some);
            },
            [&](size_t, const std::vector<Sample>& said) { samples.insert(samples.end(), said.begin(), said.end()); },
            [](const std::vector<Sample>& said) { return bytes_of(packed(said)); },
            [](const std::string& bytes) { return values_in<Sample>(unpacked(bytes)); });
        return samples;
      },
      threshold, [&] { bar.advance(); });
}

void tell_robustness(const std::string& out, const std::vector<RobustnessPoint>& points) {
  std::printf("\n%s", to_markdown(robustness_table(points)).c_str());
  std::fflush(stdout);
  write_atomically(out + "/robustness.csv", to_csv(robustness_numbers(points)));
  if (!plot_robustness(out + "/robustness.png", points))
    spdlog::warn("no robustness.png: gnuplot is missing or failed (install gnuplot-nox); the numbers are all there");
}

}  // namespace telltale
