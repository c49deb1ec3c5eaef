// bench: how fast kernels, nets, loading and the data path are, beside what the machine can do; and what losses are
// like.
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <fstream>

#include "base/atomic_file.h"
#include "base/json_text.h"
#include "base/outputs.h"
#include "models/device.h"
#include "tools/bench/bench.h"
#include "tools/bench/losses.h"

namespace telltale {

Timing timing_of(std::vector<double> seconds) {
  Timing t;
  if (seconds.empty()) return t;
  std::sort(seconds.begin(), seconds.end());
  const auto at = [&](double share) {
    return seconds[std::min(seconds.size() - 1, size_t(share * double(seconds.size())))];
  };
  t = {at(0.5), seconds.front(), seconds.back(), at(0.95), at(0.99), seconds.size()};
  return t;
}

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

double peak_memory_mib() {
  rusage usage{};
  return getrusage(RUSAGE_SELF, &usage) == 0 ? double(usage.ru_maxrss) / 1024 : 0;
}

void write_report(const std::string& path, const nlohmann::json& report) {
  if (!path.empty()) write_atomically(path, json_text(report, 1) + "\n");
}

namespace {

void offer_scale(CLI::App& app, ScaleBenchOptions& o) {
  const auto add = [&](const char* name, auto& value, const char* what) {
    app.add_option(name, value, what)->check(CLI::PositiveNumber)->capture_default_str();
  };
  app.add_option("--net", o.net, "a detector's net")->capture_default_str();
  add("--size", o.size, "height and width of the images");
  add("--measured-batch", o.measured_batch, "images of the step that is measured here");
  add("--images-per-second", o.images_per_second, "what one GPU trains by itself");
  add("--batch", o.batch, "images a GPU and step");
  add("--gpus-per-node", o.gpus_per_node, "GPUs that share a node's network");
  add("--in-node", o.in_node, "GB/s of a GPU to those of its node (NVLink)");
  add("--in-node-latency", o.in_node_latency, "microseconds a message");
  add("--between", o.between, "GB/s of a node's network");
  add("--between-latency", o.between_latency, "microseconds a message");
  add("--bucket-mb", o.bucket_mb, "MB of gradients that are sent together");
  app.add_option("--transport-bits", o.transport_bits, "of a number that is sent")
      ->check(CLI::IsMember({16, 32}))
      ->capture_default_str();
  app.add_option("--json", o.json, "also write the figures here");
}

}  // namespace
}  // namespace telltale

int main(int argc, char** argv) {
  using namespace telltale;
  KernelBenchOptions kernels;
  NetBenchOptions nets;
  PipelineBenchOptions pipeline;
  LossBenchOptions losses;
  LoadBenchOptions load;
  ScaleBenchOptions scale;
  CLI::App *kernels_command = nullptr, *nets_command = nullptr, *losses_command = nullptr, *load_command = nullptr,
           *scale_command = nullptr;
  return run_tool(
      {"bench", "Time kernels, nets, loading and the data path; look into losses."}, argc, argv,
      [&](CLI::App& app) {
        app.require_subcommand(1);
        app.fallthrough();  // --device and --threads may stand behind the subcommand
        kernels_command =
            app.add_subcommand("kernels", "every op's bench case: time, GB/s, GFLOP/s, share of the machine's limits");
        kernels_command->add_option("--filter", kernels.filter, "regular expression on \"op size\"")
            ->capture_default_str();
        kernels_command->add_option("--precision", kernels.precision, "f32, tf32, f64, bf16 or f16")
            ->capture_default_str();
        kernels_command->add_option("--json", kernels.json, "also write the figures here, row by row");
        kernels_command->add_flag("--resume", kernels.resume,
                                  "keep the rows that --json's file has, and time the others");
        nets_command = app.add_subcommand("nets", "inference or a training step of whole nets");
        nets_command->add_option("--net", nets.nets, "alexnet, vgg11, resnet18, resnet50, deepfill_v2")
            ->delimiter(',')
            ->capture_default_str();
        nets_command->add_option("--batch", nets.batches, "images a step")->delimiter(',')->capture_default_str();
        nets_command->add_option("--mode", nets.mode, "infer or train")
            ->check(CLI::IsMember({"infer", "train"}))
            ->capture_default_str();
        nets_command->add_option("--precision", nets.precision, "f32, tf32, f64, bf16 or f16")->capture_default_str();
        nets_command->add_option("--size", nets.size, "height and width of the images")->capture_default_str();
        nets_command->add_option("--width", nets.width, "deepfill_v2's first channels")->capture_default_str();
        nets_command
            ->add_option("--window", nets.window, "deepfill_v2 paints only a window of that side; 0: everything")
            ->capture_default_str();
        nets_command->add_option("--seconds", nets.seconds, "how long to time each")->capture_default_str();
        nets_command->add_flag("--layers", nets.layers, "also a table of the layers");
        nets_command->add_flag("!--no-capture", nets.capture, "on a GPU run every step eagerly instead of as a graph");
        nets_command->add_flag("!--no-chains", nets.chains,
                               "training in f16 on a GPU: keep batch norms out of the convolutions around them");
        nets_command->add_flag("--serve", nets.serve,
                               "time one step for each line \"go\" on standard input (bench/compare.py)");
        nets_command->add_option("--json", nets.json, "also write the figures here, row by row");
        CLI::App* pipe = app.add_subcommand("pipeline", "files to batches: how fast the loader is");
        pipe->add_option("--data", pipeline.data, "a dataset folder made by synth")->required();
        pipe->add_option("--batch", pipeline.batch, "images a batch")->capture_default_str();
        pipe->add_option("--workers", pipeline.workers, "decoding threads, 0: every core")->capture_default_str();
        pipe->add_option("--seconds", pipeline.seconds, "how long to load")->capture_default_str();
        pipe->add_option("--json", pipeline.json, "also write the figures here");
        load_command = app.add_subcommand("load", "weights from a file into a net, with and without cached pages");
        load_command->add_option("files", load.files, "weights of nets that Telltale knows")->required();
        load_command->add_option("--repeat", load.repeat, "how often to time each")
            ->check(CLI::Range(1, 1000))
            ->capture_default_str();
        load_command->add_option("--json", load.json, "also write the figures here");
        scale_command = app.add_subcommand(
            "scale", "what a training step sends, and a model of how it scales to many GPUs, with what that assumes");
        offer_scale(*scale_command, scale);
        losses_command = app.add_subcommand(
            "losses", "gradients checked, classic mistakes looked for, fields drawn, boxes regressed, speed measured");
        losses_command
            ->add_option("--losses", losses.losses,
                         "NAME or NAME:SETTING=VALUE, pixel_NAME for one over pixels; default: all")
            ->delimiter(',');
        losses_command->add_option("--loss-file", losses.files, "also the loss of this file (docs/losses.md)");
        losses_command->add_option("--out", losses.out, "folder for tables and pictures")->required();
        losses_command->add_option("--starts", losses.starts, "places that simulated boxes start from, 343 each")
            ->check(CLI::Range(1, 100000))
            ->capture_default_str();
        losses_command->add_option("--rows", losses.rows, "boxes, or pixels, in the batch that is timed")
            ->check(CLI::Range(1, 1 << 26))
            ->capture_default_str();
      },
      [&](const CommonOptions& common) {
        std::vector<std::string> inputs = load.files;
        if (!pipeline.data.empty()) inputs.push_back(pipeline.data + "/labels.csv");
        for (const std::string& json : {kernels.json, nets.json, pipeline.json, load.json, scale.json})
          if (!json.empty()) check_text_output("--json", json, inputs);
        if (kernels_command->parsed()) return bench_kernels(common, kernels);
        if (nets_command->parsed()) return bench_nets(common, nets);
        if (losses_command->parsed()) return bench_losses(common, losses);
        if (load_command->parsed()) return bench_load(common, load);
        if (scale_command->parsed()) return bench_scale(common, scale);
        return bench_pipeline(common, pipeline);
      });
}
