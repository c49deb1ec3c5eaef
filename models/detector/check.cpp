#include "models/detector/check.h"

#include <algorithm>
#include <fstream>

#include "data/loader.h"
#include "kernels/device/cuda_api.h"
#include "losses/loss.h"
#include "models/detector/detector.h"
#include "models/device_check.h"
#include "nets/nets.h"
#include "weights/names.h"
#include "weights/weights_file.h"

namespace telltale {
namespace {

DType compute_type(const Recipe& r) {
  return r.precision == "bf16" ? DType::bf16 : r.precision == "f16" ? DType::f16 : DType::f32;
}

DetectorInfo info_of(const Recipe& r) { return {r.net, 5, r.width, r.size, r.box_unit}; }

/// Bytes that may be taken: what is free, but for a reserve for libraries' workspaces and for others.
size_t memory_for_the_net(const Stream& s) {
  if (s.is_cuda()) return cuda_api::memory().free / 10 * 9;
  std::ifstream info("/proc/meminfo");
  size_t kib = 0;
  for (std::string name, rest; info >> name >> kib && std::getline(info, rest);)
    if (name == "MemAvailable:") return kib * 1024 / 10 * 8;
  return size_t(1) << 30;
}

/// One device's half of the check.
struct Half {
  DetectorGraph net;
  Program program;
  OwnedTensor target;

  Half(Stream& s, const TrainSettings& settings, const Batch& batch, bool chains, bool stems)
      : net(detector_graph(info_of(settings.recipe), batch.count, batch.size, float(settings.recipe.dropout))),
        program(net.graph, s,
                {.compute = compute_type(settings.recipe),
                 .training = true,
                 .chains = chains,
                 .stems = stems,
                 .seed = settings.common.seed}),
        target(s.place(), {batch.count, 1, 1, 5}, DType::f32) {
    if (settings.init != "none") {
      load_params(s, program.params(), WeightsFile::open(settings.init).state_dict(),
                  detector_net(settings.recipe.net).head);
      program.params_changed();
    }
    const auto fakes = std::count_if(batch.targets.begin(), batch.targets.end(),
                                     [i = 0](float v) mutable { return i++ % 5 == 0 && v > 0; });
    program.set_state(
        {.step = 1, .seed = uint32_t(settings.common.seed), .samples = float(batch.count), .positives = float(fakes)});
    upload(s, program.tensor(net.pixels), batch.pixels.data());
    upload(s, program.tensor(net.flip), batch.flip.data());
    upload(s, target, batch.targets.data());
  }
};

}  // namespace

int check_training(const TrainSettings& settings, Stream& stream, const Dataset& dataset) {
  constexpr int kImages = 8;  // every node is kept on the host, in double
  const Recipe& r = settings.recipe;
  const std::vector<int> rows = dataset.rows(Split::train);
  LoaderOptions options;
  options.batch = std::min({r.batch, kImages, int(rows.size())});
  options.seed = settings.common.seed;
  Loader loader(dataset, rows, options);
  loader.start(0, 0, 1);
  const Batch& batch = *loader.next();
  Stream second = other_device(stream);
  // Both run the nodes that the GPU has.
  const bool chains = settings.chains && compute_type(r) == DType::f16 && (stream.is_cuda() || second.is_cuda());
  const bool stems = stream.is_cuda() || second.is_cuda();
  Half a(stream, settings, batch, chains, stems), b(second, settings, batch, chains, stems);
  const int size = dataset.info().size;
  const auto loss = make_detection_loss(r.loss, detection_settings(r, size));
  return report_check(compare_programs(a.program, b.program, a.net.logits, loss.get(), a.target, b.target,
                                       check_tolerance(compute_type(r))),
                      stream, second);
}

int fitting_batch(const TrainSettings& settings, Stream& stream, const Dataset& dataset) {
  const Recipe& r = settings.recipe;
  const int most = std::min(512, int(dataset.rows(Split::train).size()));
  const auto need = [&](int batch) {
    const DetectorGraph net = detector_graph(info_of(r), batch, dataset.info().size, float(r.dropout));
    const Options infer{.compute = compute_type(r)},
        train{.compute = infer.compute,
              .training = true,
              .chains = settings.chains ? std::nullopt : std::optional(false)};
    // Validation keeps a second program beside the one that trains.
    return Program::footprint(net.graph, stream, train).total() + Program::footprint(net.graph, stream, infer).total();
  };
  const size_t free = memory_for_the_net(stream), one = need(1);
  TT_CHECK(one <= free, DeviceError, "not even one image of ", r.size, " pixels fits: ", one >> 20, " MiB planned, ",
           free >> 20, " MiB may be used");
  // Memory is close to linear in the batch: step to the estimate, then down until it holds.
  const size_t gradient = std::max<size_t>(1, need(2) - one);
  int batch = int(std::min<size_t>(size_t(most), 1 + (free - one) / gradient));
  if (batch >= 8) batch -= batch % 8;
  while (batch > 1 && need(batch) > free) batch -= batch > 8 ? 8 : 1;
  return batch;
}

}  // namespace telltale
