#include "models/training/program.h"

#include <algorithm>
#include <fstream>

#include "base/log.h"
#include "base/sha256.h"
#include "kernels/device/cuda_api.h"
#include "kernels/parts/matrix_math.h"
#include "models/device.h"
#include "models/device_check.h"
#include "weights/weights_file.h"

namespace telltale {
namespace {

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
  PictureGraph net;
  Program program;
  std::vector<OwnedTensor> tensors;  ///< a target and terms for each head
  std::vector<Program::Head> heads;

  Half(Stream& s, const ProgramPlan& plan, const TrainSettings& settings, const Task& task,
       const std::vector<Head>& of_task, const Batch& batch)
      : net(plan.net), program(net.graph, s, plan.options) {
    if (settings.init != "none")
      load_initial_weights(settings.init, program, task.weights_name(), task.replaced_layer(), task.encoder());
    const auto fakes = std::count(batch.fake.begin(), batch.fake.begin() + batch.count, 1);
    program.set_state(
        {.step = 1, .seed = uint32_t(settings.common.seed), .samples = float(batch.count), .positives = float(fakes)});
    upload(s, program.tensor(net.pixels), batch.pixels.data());
    upload(s, program.tensor(net.flip), batch.flip.data());
    for (size_t k = 0; k < of_task.size(); ++k) {
      Shape target = of_task[k].target;
      target.n = batch.count;
      const Tensor y = program.tensor(net.heads[k]);
      tensors.emplace_back(s.place(), target, DType::f32);
      upload(s, tensors.back(), batch.targets[k].data());
      const Tensor targets = tensors.back();
      tensors.emplace_back(s.place(), terms_shape(y.shape, *of_task[k].loss), accumulator_of(y.dtype));
      heads.push_back({net.heads[k], of_task[k].loss.get(), targets, tensors.back()});
    }
  }
};

}  // namespace

ProgramPlan training_program(const Task& task, const TrainSettings& settings, Stream& stream, int batch, int stored,
                             Tensor resident) {
  const DType compute = precision_of(task.recipe().precision, stream);
  ProgramPlan plan{task.graph(batch, task.training_size(stored), resident),
                   {.compute = compute,
                    .training = true,
                    .chains = settings.chains ? std::nullopt : std::optional(false),
                    .seed = settings.common.seed,
                    .dynamic_loss_scale = compute == DType::f16}};
  task.freeze(plan.net.graph);
  return plan;
}

ProgramPlan validation_program(const Task& task, Stream& stream, int batch, int stored) {
  return {task.graph(batch, stored, {}), {.compute = precision_of(task.recipe().precision, stream)}};
}

std::string load_initial_weights(const std::string& path, Program& program, const std::string& wanted,
                                 const std::string& replaced_layer, const std::vector<std::string>& encoder) {
  const WeightsFile file = WeightsFile::open(path);
  LoadReport report;
  try {
    report = load_params(program.stream(), program.params(), file.state_dict(), replaced_layer, encoder);
  } catch (const DataError& e) {
    throw DataError(cat(path, ": not ", wanted, ": ", e.what()));
  }
  program.params_changed();
  const std::string hash = sha256_file(path), fresh = joined(report.fresh);
  spdlog::info("{} tensors from {} (sha256 {}){}", report.loaded, path, hash,
               fresh.empty() ? "" : "; these start anew: " + fresh);
  return hash;
}

std::vector<Target> targets_of(const std::vector<Head>& heads) {
  std::vector<Target> targets;
  for (const Head& h : heads) targets.push_back({int(h.target.numel()), h.write});
  return targets;
}

LoaderOptions training_batches(const Task& task, const TrainSettings& settings, int stored) {
  LoaderOptions o;
  o.flip = task.recipe().augment == "flip";
  o.seed = settings.common.seed;
  o.threads = settings.workers;
  o.masks = task.masks();
  o.augment = task.augmentation(stored);
  if (o.augment) o.size = task.training_size(stored);
  return o;
}

LoaderOptions validation_batches(const Task& task, int workers, int stored) {
  LoaderOptions o;
  o.shuffle = o.flip = false;
  o.threads = workers;
  o.masks = task.masks();
  o.targets = targets_of(task.heads(stored));
  return o;
}

int check_training(const Task& task, const TrainSettings& settings, Stream& stream, const Dataset& dataset) {
  constexpr int kImages = 8;  // every node is kept on the host, in double
  const std::vector<int> rows = dataset.rows(Split::train);
  const int stored = dataset.info().size, batch = std::min({task.recipe().batch, kImages, int(rows.size())});
  Stream second = other_device(stream);
  ProgramPlan plan = training_program(task, settings, stream, batch, stored);
  // Both run the nodes that the GPU has. Nothing is scaled: what overflowed on both would compare as equal.
  const bool gpu = stream.is_cuda() || second.is_cuda();
  plan.options.chains = settings.chains && plan.options.compute == DType::f16 && gpu;
  plan.options.stems = gpu;
  plan.options.dynamic_loss_scale = false;
  const std::vector<Head> heads = task.heads(task.training_size(stored));
  LoaderOptions options = training_batches(task, settings, stored);
  options.batch = batch;
  options.targets = targets_of(heads);
  Loader loader(dataset, rows, options);
  loader.start(0, 0, 1);
  const Batch& first = *loader.next();
  Half a(stream, plan, settings, task, heads, first), b(second, plan, settings, task, heads, first);
  const bool tf32 = stream.resource<MatrixMath>().tf32;
  return report_check(
      compare_programs(a.program, b.program, a.heads, b.heads, check_tolerance(plan.options.compute, tf32)), stream,
      second);
}

int fitting_batch(const Task& task, const TrainSettings& settings, Stream& stream, const Dataset& dataset) {
  const int stored = dataset.info().size, most = std::min(512, int(dataset.rows(Split::train).size()));
  const auto need = [&](int batch) {  // validation keeps a second program beside the one that trains
    return training_program(task, settings, stream, batch, stored).footprint(stream).total() +
           validation_program(task, stream, batch, stored).footprint(stream).total();
  };
  const size_t free = memory_for_the_net(stream), one = need(1);
  TT_CHECK(one <= free, DeviceError, "not even one image fits: ", one >> 20, " MiB planned, ", free >> 20,
           " MiB may be used");
  // Memory is close to linear in the batch: step to the estimate, then down until it holds.
  const size_t each = std::max<size_t>(1, need(2) - one);
  int batch = int(std::min<size_t>(size_t(most), 1 + (free - one) / each));
  if (batch >= 8) batch -= batch % 8;
  while (batch > 1 && need(batch) > free) batch -= batch > 8 ? 8 : 1;
  return batch;
}

}  // namespace telltale
