// bench scale: what a step of training sends, and a model of what that costs on many GPUs.
#include <algorithm>
#include <cstdio>
#include <cstring>

#include "base/table.h"
#include "engine/program.h"
#include "losses/loss.h"
#include "models/detector/task.h"
#include "models/device.h"
#include "models/scaling.h"
#include "models/training/program.h"
#include "tools/bench/bench.h"

namespace telltale {
namespace {

/// A lone step as it is here: seconds by layer, and the gradients that each layer leaves, in the type they are sent in.
LoneStep measure(Stream& s, const ScaleBenchOptions& o) {
  Recipe recipe;
  recipe.net = o.net;
  recipe.batch = o.measured_batch;
  recipe.size = o.size;
  recipe.loss = "giou";
  recipe.dropout = 0;
  const DetectTask task(recipe);
  TrainSettings settings;
  settings.common.seed = 1;
  const ProgramPlan plan = training_program(task, settings, s, recipe.batch, o.size);
  Program program(plan.net.graph, s, plan.options);
  const std::unique_ptr<const Loss> loss = std::move(task.heads(o.size)[0].loss);
  const OwnedTensor target(s.place(), {recipe.batch, 1, 1, 5}, DType::f32),
      terms(s.place(), {recipe.batch, 1, 1, loss->terms()}, DType::f32);
  for (const Tensor t : {target.tensor, program.tensor(plan.net.pixels), program.tensor(plan.net.flip)})
    fill_zero(s, t);
  program.set_state({.step = 1, .lr = 1e-3f, .samples = float(recipe.batch), .positives = 1});
  constexpr int kSteps = 3;
  const Adam adam;
  LoneStep step;
  for (int i = 0; i <= kSteps; ++i) {  // the first warms up
    size_t layer = 0;
    double last = now(), *to = nullptr;
    program.observe([&](Program::Step at, const Layer&, const Io& io) {
      s.sync();
      const double seconds = now() - last;
      if (at.backward) {
        double bytes = 0;
        for (size_t k = 0; k < io.dw.size(); ++k)
          if (io.dw_mode[k] != GradMode::ignore) bytes += double(io.dw[k].shape.numel()) * o.transport_bits / 8;
        if (i == 0) step.backward.push_back({0, bytes});
        to = &step.backward[layer++].seconds;
      } else {
        to = &step.before;
      }
      if (i > 0) *to += seconds / kSteps;
      last = now();
    });
    program.gradients(plan.net.heads[0], *loss, target, terms, false);
    s.sync();
    const double start = now();
    program.update(adam);
    s.sync();
    if (i > 0) step.after += (now() - start) / kSteps;
  }
  return step;
}

/// Bytes a second of copying, and of adding one array to another, on the host: what summing through memory can do here.
std::pair<double, double> host_bandwidth() {
  constexpr size_t kNumbers = size_t(1) << 25;
  std::vector<float> a(kNumbers, 1), b(kNumbers, 2);
  std::vector<double> copies, sums;
  for (int i = 0; i < 5; ++i) {
    double start = now();
    std::memcpy(a.data(), b.data(), kNumbers * sizeof(float));
    copies.push_back(now() - start);
    start = now();
    for (size_t k = 0; k < kNumbers; ++k) a[k] += b[k];
    sums.push_back(now() - start);
  }
  const double bytes = double(kNumbers) * sizeof(float);
  return {bytes / timing_of(copies).median, bytes / timing_of(sums).median};
}

/// As a GPU of that speed would take it: every part as much faster as all are.
LoneStep on_gpu(LoneStep step, double seconds) {
  const double factor = seconds / step.seconds();
  step.before *= factor;
  step.after *= factor;
  for (BackwardPart& part : step.backward) part.seconds *= factor;
  return step;
}

}  // namespace

int bench_scale(const CommonOptions& common, const ScaleBenchOptions& o) {
  Stream stream = open_device(common);
  const LoneStep here = measure(stream, o);
  const auto [copy, sum] = host_bandwidth();
  const double bucket = o.bucket_mb * 1e6;
  std::printf("Measured: %s, %s, %d x %d x %d, f32\n", stream.description().c_str(), o.net.c_str(), o.measured_batch,
              o.size, o.size);
  std::printf(
      "%.1f MB of gradients a step in %d bits; a step %.0f ms: forward and loss %.0f, backward %.0f, optimiser %.0f\n",
      here.bytes() / 1e6, o.transport_bits, 1e3 * here.seconds(), 1e3 * here.before,
      1e3 * (here.seconds() - here.before - here.after), 1e3 * here.after);
  std::printf("Memory here: copies %.1f GB/s, adds %.1f GB/s\n\n", copy / 1e9, sum / 1e9);

  Table buckets{{"bucket, in backward's order", "MB", "ready after, share of backward"}};
  nlohmann::json rows = nlohmann::json::array();
  const double backward = here.seconds() - here.before - here.after;
  double time = 0, bytes = 0;
  for (size_t i = 0; i < here.backward.size(); ++i) {
    time += here.backward[i].seconds;
    bytes += here.backward[i].bytes;
    if (bytes < bucket && i + 1 < here.backward.size()) continue;
    if (bytes == 0) continue;
    buckets.rows.push_back({cat(buckets.rows.size() + 1), fixed(bytes / 1e6, 1), fixed(time / backward, 3)});
    rows.push_back({{"bytes", bytes}, {"ready", time / backward}});
    bytes = 0;
  }
  std::printf("%s\n", to_markdown(buckets).c_str());

  const Topology t{.gpus_per_node = o.gpus_per_node,
                   .in_node = o.in_node * 1e9,
                   .in_node_latency = o.in_node_latency * 1e-6,
                   .between = o.between * 1e9,
                   .between_latency = o.between_latency * 1e-6};
  const LoneStep step = on_gpu(here, o.batch / o.images_per_second);
  Table table{{"GPUs", "nodes", "reduction ms", "weak scaling as built", "ms summed in rings", "weak scaling then"}};
  nlohmann::json predicted = nlohmann::json::array();
  for (const int gpus : {8, 64, 512}) {
    const auto seconds = [&](Reduction how) { return reduce_seconds(step.bytes(), gpus, t, how); };
    const auto scaling = [&](bool overlap, Reduction how) { return weak_scaling(step, gpus, t, bucket, overlap, how); };
    const double built = scaling(true, Reduction::exchange), rings = scaling(true, Reduction::rings);
    table.rows.push_back({cat(gpus), cat((gpus + t.gpus_per_node - 1) / t.gpus_per_node),
                          fixed(1e3 * seconds(Reduction::exchange), 2), fixed(built, 3),
                          fixed(1e3 * seconds(Reduction::rings), 2), fixed(rings, 3)});
    predicted.push_back({{"gpus", gpus},
                         {"reduction_s", seconds(Reduction::exchange)},
                         {"as_built", built},
                         {"behind_backward", scaling(false, Reduction::exchange)},
                         {"rings_s", seconds(Reduction::rings)},
                         {"rings", rings}});
  }
  std::printf("A MODEL, not a measurement:\n\n%s\n", to_markdown(table).c_str());
  std::printf(
      "It assumes: a GPU trains %g images/s alone (--images-per-second), %d a step (--batch), its layers in the "
      "proportions measured here; %d GPUs a node, %g GB/s and %g us between them, %g GB/s and %g us between nodes, "
      "shared by a node's GPUs; buckets of %g MB, reduced while backward runs and at no cost to it; no GPU waits for "
      "data or for a slower one, and nothing else uses the links. As built, sums are made in the ranks' order, so "
      "every GPU sends its numbers to where they are added; rings would send partial sums, whose order is another.\n",
      o.images_per_second, o.batch, t.gpus_per_node, o.in_node, o.in_node_latency, o.between, o.between_latency,
      o.bucket_mb);
  write_report(o.json, {{"machine", machine_description()},
                        {"net", o.net},
                        {"gradient_bytes", here.bytes()},
                        {"step_s", here.seconds()},
                        {"backward_s", backward},
                        {"copy_bytes_per_s", copy},
                        {"sum_bytes_per_s", sum},
                        {"buckets", rows},
                        {"model", predicted}});
  return 0;
}

}  // namespace telltale
