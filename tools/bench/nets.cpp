// bench nets: whole nets, by batch, mode and precision.
#include "nets/nets.h"

#include <cstdio>
#include <iostream>
#include <map>

#include "engine/program.h"
#include "kernels/core/host_values.h"
#include "kernels/core/philox.h"
#include "losses/loss.h"
#include "tools/bench/bench.h"
#include "tools/common/device.h"

namespace telltale {
namespace {

void fill_random(Stream& s, Tensor t, double low, double high) {
  Random random(7);
  std::vector<double> v(size_t(t.shape.numel()));
  for (double& e : v) e = random.uniform(low, high);
  set_values(s, t, v);
}

/// A net with inputs in place, and one step of it.
class Workload {
 public:
  Workload(Stream& s, const std::string& net, int batch, const NetBenchOptions& o) : stream_(s) {
    const DType type = precision_of(o.precision);
    const bool training = o.mode == "train";
    Graph g;
    const Value x = g.input({batch, o.size, o.size, 3});
    Value mask;
    if (net == "deepfill_v2") {
      TT_CHECK(!training, UsageError, "bench nets: deepfill_v2 only runs forward");
      mask = g.input({batch, o.size, o.size, 1});
      y_ = deepfill_v2(g, x, mask, o.width).refined;
    } else {
      y_ = detector_net(net).build(g, x, {});
    }
    program_ = std::make_unique<Program>(g, s, Options{.compute = type, .training = training, .seed = 1});
    fill_random(s, program_->tensor(x), 0, 1);
    if (mask.id >= 0) fill_random(s, program_->tensor(mask), 0, 0);
    if (!training) return;
    loss_ = make_detection_loss("giou", {});
    target_ = OwnedTensor(s.place(), {batch, 1, 1, 5}, accumulator_of(type));
    terms_ = OwnedTensor(s.place(), {batch, 1, 1, 3}, accumulator_of(type));
    std::vector<float> labels;
    for (int n = 0; n < batch; ++n) labels.insert(labels.end(), {n % 2 ? 1.0f : 0.0f, 0.2f, 0.3f, 0.6f, 0.7f});
    TT_CHECK(type != DType::f64, UsageError, "bench nets: training is timed in f32, bf16 or f16");
    upload(s, target_, labels.data());
    state_.lr = 1e-3f;
    state_.samples = float(batch);
    state_.positives = float(batch / 2);
  }

  void step() {
    if (loss_) {
      ++state_.step;
      program_->set_state(state_);
      program_->gradients(y_, *loss_, target_, terms_, false);
      program_->update(Adam());
    } else {
      program_->forward();
    }
    stream_.sync();
  }
  Program& program() { return *program_; }

 private:
  Stream& stream_;
  std::unique_ptr<Program> program_;
  Value y_;
  std::unique_ptr<Loss> loss_;
  OwnedTensor target_, terms_;
  StepState state_;
};

/// Time, share and rate of every layer, forward and backward summed over a few steps.
void print_layers(Workload& w, Stream& s) {
  struct Row {
    std::string what;
    double forward = 0, backward = 0, flops = 0;
  };
  std::map<int, Row> rows;
  double mark = 0;
  w.program().observe([&](Program::Step step, const Layer& layer, const Io& io) {
    s.sync();
    Row& row = rows[step.node];
    row.what = layer.name + "  " + layer.describe() + "  " + to_string(io.y.shape);
    (step.backward ? row.backward : row.forward) += now() - mark;
    // Every parameter of a filter or a matrix is multiplied once per output pixel.
    if (!io.w.empty() && io.w[0].shape.n > 1) {
      row.flops += 2.0 * double(io.y.shape.rows()) * double(io.w[0].shape.numel()) * (step.backward ? 2 : 1);
    }
    mark = now();
  });
  constexpr int kSteps = 5;
  for (int i = 0; i < kSteps; ++i) {
    mark = now();
    w.step();
  }
  w.program().observe(nullptr);
  double total = 0;
  for (const auto& [node, r] : rows) total += r.forward + r.backward;
  std::printf("%4s %9s %9s %7s %9s  %s\n", "node", "fwd ms", "bwd ms", "share", "GFLOP/s", "layer");
  for (const auto& [node, r] : rows) {
    std::printf("%4d %9.3f %9.3f %6.1f%% %9.1f  %s\n", node, r.forward / kSteps * 1e3, r.backward / kSteps * 1e3,
                100 * (r.forward + r.backward) / total, r.flops / (r.forward + r.backward) / 1e9, r.what.c_str());
  }
}

int serve(Workload& w) {
  w.step();
  w.step();
  std::printf("{\"ready\": true}\n");
  std::fflush(stdout);
  std::string line;
  while (std::getline(std::cin, line) && line == "go") {
    const double start = now();
    w.step();
    std::printf("{\"seconds\": %.9f, \"peak_mib\": %.1f}\n", now() - start, peak_memory_mib());
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
  std::printf("%-12s %6s %10s %10s %10s %10s %10s %11s\n", "net", "batch", "median ms", "p95 ms", "p99 ms", "min ms",
              "images/s", "planned MiB");
  nlohmann::json rows = nlohmann::json::array();
  for (const std::string& net : options.nets) {
    for (int batch : options.batches) {
      TT_CHECK(batch > 0, UsageError, "--batch must be positive, got ", batch);
      Workload w(stream, net, batch, options);
      w.step();
      std::vector<double> seconds;
      for (double total = 0; total < options.seconds || seconds.size() < 5; total += seconds.back()) {
        const double start = now();
        w.step();
        seconds.push_back(now() - start);
      }
      const Timing t = timing_of(seconds);
      const double planned = double(w.program().total_bytes()) / (1 << 20);
      std::printf("%-12s %6d %10.2f %10.2f %10.2f %10.2f %10.2f %11.1f\n", net.c_str(), batch, t.median * 1e3,
                  t.p95 * 1e3, t.p99 * 1e3, t.low * 1e3, batch / t.median, planned);
      std::fflush(stdout);
      if (options.layers) print_layers(w, stream);
      rows.push_back({{"net", net},
                      {"batch", batch},
                      {"mode", options.mode},
                      {"median_s", t.median},
                      {"p95_s", t.p95},
                      {"p99_s", t.p99},
                      {"min_s", t.low},
                      {"steps", t.count},
                      {"images_per_s", batch / t.median},
                      {"planned_mib", planned}});
    }
  }
  std::printf("\npeak resident memory of this process: %.0f MiB\n", peak_memory_mib());
  write_report(options.json, {{"machine", machine_description()},
                              {"device", stream.description()},
                              {"precision", options.precision},
                              {"size", options.size},
                              {"nets", rows}});
  return 0;
}

}  // namespace telltale
