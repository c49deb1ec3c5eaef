// bench nets: whole nets as training and inference run them, bytes in, by batch, mode and precision.
#include "nets/nets.h"

#include <cstdio>
#include <iostream>

#include "engine/capture.h"
#include "engine/program.h"
#include "kernels/device/cuda_api.h"
#include "kernels/device/host_values.h"
#include "kernels/device/philox.h"
#include "losses/loss.h"
#include "models/detector/task.h"
#include "models/device.h"
#include "models/training/program.h"
#include "tools/bench/bench.h"
#include "tools/bench/ceilings.h"
#include "tools/bench/layers.h"

namespace telltale {
namespace {

void fill_random(Stream& s, Tensor t, double low, double high) {
  Random random(7);
  std::vector<double> v(size_t(t.shape.numel()));
  for (double& e : v) e = random.uniform(low, high);
  set_values(s, t, v);
}

/// A net with inputs in place, and one step of it: on a GPU a graph after the second.
class Workload {
 public:
  Workload(Stream& s, const std::string& net, int batch, const NetBenchOptions& o)
      : stream_(s), free_before_(free_memory(s)), capture_(s, o.capture) {
    const DType type = precision_of(o.precision, s);
    const bool training = o.mode == "train";
    TT_CHECK(!training || net != "deepfill_v2", UsageError, "bench nets: deepfill_v2 only runs forward");
    TT_CHECK(!training || type != DType::f64, UsageError, "bench nets: training is timed in f32, bf16 or f16");
    net == "deepfill_v2" ? build_generator(batch, type, o) : build_detector(net, batch, training, o);
    if (!training) return;
    target_ = OwnedTensor(s.place(), {batch, 1, 1, 5}, DType::f32);
    terms_ = OwnedTensor(s.place(), {batch, 1, 1, loss_->terms()}, DType::f32);
    std::vector<float> labels;
    for (int n = 0; n < batch; ++n) labels.insert(labels.end(), {n % 2 ? 1.0f : 0.0f, 0.2f, 0.3f, 0.6f, 0.7f});
    upload(s, target_, labels.data());
    state_.lr = 1e-3f;
    state_.samples = float(batch);
    const int positives = batch / 2;
    state_.positives = float(positives);
  }

  void step() {
    if (loss_) {
      ++state_.step;
      program_->set_state(state_);
      capture_.run([this] {
        program_->gradients(y_, *loss_, target_, terms_, false);
        program_->update(optimizer_);
      });
    } else {
      capture_.run([this] { program_->forward(); });
    }
    stream_.sync();
  }
  /// The same without a graph, so that an observer sees every layer.
  void eager_step() {
    if (loss_) {
      program_->gradients(y_, *loss_, target_, terms_, false);
      program_->update(optimizer_);
    } else {
      program_->forward();
    }
    stream_.sync();
  }
  /// What the net and its libraries took of the GPU's memory; on the host what the process took at most.
  double peak_mib() const {
    return stream_.is_cuda() ? double(free_before_ - free_memory(stream_)) / (1 << 20) : peak_memory_mib();
  }
  const Capture& capture() const { return capture_; }
  /// Whether batch norms run inside convolutions.
  bool has_chains() const { return program_->summary().find(" > ") != std::string::npos; }
  Program& program() { return *program_; }

 private:
  void build_generator(int batch, DType type, const NetBenchOptions& o) {
    Graph g;
    const Value x = g.input({batch, o.size, o.size, 3}), mask = g.input({batch, o.size, o.size, 1});
    HoleWindow window;
    if (o.window > 0) window = {g.input({batch, 1, 1, 2}, DType::i32), o.window};
    y_ = deepfill_v2(g, x, mask, o.width, window).refined;
    program_ = std::make_unique<Program>(g, stream_, Options{.compute = type, .seed = 1, .keep_parameters = false});
    fill_random(stream_, program_->tensor(x), 0, 1);
    fill_zero(stream_, program_->tensor(mask));
    if (window.side > 0) fill_zero(stream_, program_->tensor(window.corner));
  }
  /// The very program that `train` trains or validates with, but that nothing drops out.
  void build_detector(const std::string& net, int batch, bool training, const NetBenchOptions& o) {
    Recipe recipe;
    recipe.net = net;
    recipe.precision = o.precision;
    recipe.batch = batch;
    recipe.size = o.size;
    recipe.loss = "giou";
    recipe.dropout = 0;
    const DetectTask task(recipe);
    TrainSettings settings;
    settings.common.seed = 1;
    settings.chains = o.chains;
    ProgramPlan plan = training ? training_program(task, settings, stream_, batch, o.size)
                                : validation_program(task, stream_, batch, o.size);
    plan.options.keep_parameters = training;  // as infer has it, which runs this net
    y_ = plan.net.heads[0];
    loss_ = training ? std::move(task.heads(o.size)[0].loss) : nullptr;
    program_ = std::make_unique<Program>(plan.net.graph, stream_, plan.options);
    fill_random(stream_, program_->tensor(plan.net.pixels), 0, 256);
    fill_zero(stream_, program_->tensor(plan.net.flip));
  }
  static size_t free_memory(const Stream& s) { return s.is_cuda() ? cuda_api::memory().free : 0; }
  Stream& stream_;
  size_t free_before_;
  std::unique_ptr<Program> program_;
  Capture capture_;
  Adam optimizer_;
  Value y_;
  std::unique_ptr<const Loss> loss_;
  OwnedTensor target_, terms_;
  StepState state_;
};

int serve(Workload& w) {
  for (int i = 0; i < 4; ++i) w.step();  // two eagerly, one recorded, one replayed
  std::printf("{\"ready\": true}\n");
  std::fflush(stdout);
  std::string line;
  while (std::getline(std::cin, line) && line == "go") {
    const double start = now();
    w.step();
    std::printf("{\"seconds\": %.9f, \"peak_mib\": %.1f}\n", now() - start, w.peak_mib());
    std::fflush(stdout);
  }
  return 0;
}

}  // namespace

int bench_nets(const CommonOptions& common, const NetBenchOptions& options) {
  Stream stream = open_device(common);
  if (options.serve) {
    TT_CHECK(options.nets.size() == 1 && options.batches.size() == 1, UsageError,
             "--serve takes one --net and one --batch");
    Workload w(stream, options.nets[0], options.batches[0], options);
    return serve(w);
  }
  std::printf("%s, %s, %s, %dx%d\n\n", machine_description().c_str(), options.mode.c_str(), options.precision.c_str(),
              options.size, options.size);
  std::printf("%-12s %6s %10s %10s %10s %10s %10s %11s %11s\n", "net", "batch", "median ms", "p95 ms", "p99 ms",
              "min ms", "images/s", "planned MiB", "taken MiB");
  Ceilings most;
  if (options.layers) most = measure_ceilings(stream, precision_of(options.precision, stream));
  nlohmann::json rows = nlohmann::json::array();
  for (const std::string& net : options.nets) {
    for (int batch : options.batches) {
      TT_CHECK(batch > 0, UsageError, "--batch must be positive, got ", batch);
      Workload w(stream, net, batch, options);
      for (int i = 0; i < (stream.is_cuda() ? 20 : 1); ++i) w.step();
      std::vector<double> seconds;
      for (double total = 0; total < options.seconds || seconds.size() < 5; total += seconds.back()) {
        const double start = now();
        w.step();
        seconds.push_back(now() - start);
      }
      const Timing t = timing_of(seconds);
      const double planned = double(w.program().total_bytes()) / (1 << 20);
      std::printf("%-12s %6d %10.3f %10.3f %10.3f %10.3f %10.2f %11.1f %11.1f\n", net.c_str(), batch, t.median * 1e3,
                  t.p95 * 1e3, t.p99 * 1e3, t.low * 1e3, batch / t.median, planned, w.peak_mib());
      if (stream.is_cuda() && !w.capture().replays()) {
        std::printf("  no graph: %s\n", w.capture().why_eager().c_str());
      }
      std::fflush(stdout);
      nlohmann::json layers;
      if (options.layers) layers = time_layers(w.program(), stream, most, [&] { w.eager_step(); });
      rows.push_back({{"net", net},
                      {"batch", batch},
                      {"mode", options.mode},
                      {"median_s", t.median},
                      {"p95_s", t.p95},
                      {"p99_s", t.p99},
                      {"min_s", t.low},
                      {"steps", t.count},
                      {"images_per_s", batch / t.median},
                      {"planned_mib", planned},
                      {"taken_mib", w.peak_mib()},
                      {"graph", w.capture().replays()},
                      {"chains", w.has_chains()},
                      {"layers", layers}});
      write_report(options.json, {{"machine", machine_description()},
                                  {"device", stream.description()},
                                  {"precision", options.precision},
                                  {"size", options.size},
                                  {"copy_bytes_per_s", most.copy_bytes},
                                  {"flop_per_s", most.flop},
                                  {"nets", rows}});
    }
  }
  std::printf("\npeak resident memory of this process: %.0f MiB\n", peak_memory_mib());
  return 0;
}

}  // namespace telltale
