#pragma once
// What the parts of `bench` share.
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/args.h"
#include "models/device.h"

namespace telltale {

/// Order statistics of repeated timings, in seconds.
struct Timing {
  double median = 0, low = 0, high = 0, p95 = 0, p99 = 0;
  size_t count = 0;
};
Timing timing_of(std::vector<double> seconds);
/// Seconds on a clock that never goes back.
double now();
/// Highest resident memory of this process so far, in MiB; 0 where the system does not say.
double peak_memory_mib();
/// Writes `report` to `path` unless it is empty.
void write_report(const std::string& path, const nlohmann::json& report);

struct KernelBenchOptions {
  std::string filter = ".*", precision = "f32", json;
  bool resume = false;  ///< what `json` has is kept and not timed again
};
int bench_kernels(const CommonOptions&, const KernelBenchOptions&);

struct NetBenchOptions {
  std::vector<std::string> nets = {"resnet18", "resnet50"};
  std::vector<int> batches = {1, 8};
  std::string mode = "infer", precision = "f32", json;
  int size = 256, width = 48, window = 0;
  double seconds = 3;
  bool layers = false, serve = false, capture = true;
  bool chains = true;  ///< in f16 on a GPU: batch norms inside convolutions
};
int bench_nets(const CommonOptions&, const NetBenchOptions&);

struct PipelineBenchOptions {
  std::string data, json;
  int batch = 32, workers = 0;
  double seconds = 5;
};
int bench_pipeline(const CommonOptions&, const PipelineBenchOptions&);

struct ScaleBenchOptions {
  std::string net = "resnet50", json;
  int size = 224, measured_batch = 4;
  double images_per_second = 2500;  ///< of one GPU
  int batch = 64;                   ///< images a GPU and step
  int gpus_per_node = 8;
  double in_node = 300, in_node_latency = 3, between = 50, between_latency = 10;  ///< GB/s, us
  double bucket_mb = 5;
  int transport_bits = 32;
};
int bench_scale(const CommonOptions&, const ScaleBenchOptions&);

struct LoadBenchOptions {
  std::vector<std::string> files;
  std::string json;
  int repeat = 7;
};
int bench_load(const CommonOptions&, const LoadBenchOptions&);

}  // namespace telltale
