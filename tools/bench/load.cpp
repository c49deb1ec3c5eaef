// bench load: from a file of weights to a net's parameters, beside reading the same bytes and no more.
#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <functional>

#include "engine/program.h"
#include "models/device.h"
#include "models/families.h"
#include "nets/nets.h"
#include "tools/bench/bench.h"
#include "weights/names.h"
#include "weights/weights_file.h"

namespace telltale {
namespace {

/// The net that a file holds, with parameters to be filled.
Program program_of(const NetIdentity& found, Stream& s) {
  Graph graph;
  if (found.outputs > 0) {
    constexpr double kPublished = 64;  // outputs of every detector's first filter
    detector_net(found.family)
        .build(graph, graph.input({1, 64, 64, 3}),
               {.outputs = int(found.outputs), .width = double(found.width) / kPublished});
  } else {
    const Value image = graph.input({1, 32, 32, 3}), mask = graph.input({1, 32, 32, 1});
    generator_net(found.family).build(graph, image, mask, int(found.width));
  }
  return Program(graph, s, {});
}

/// An open file, read as plainly as can be.
class PlainFile {
 public:
  explicit PlainFile(const std::string& path) : fd_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
    TT_CHECK(fd_ >= 0, DataError, "cannot open ", path);
  }
  PlainFile(const PlainFile&) = delete;
  PlainFile& operator=(const PlainFile&) = delete;
  ~PlainFile() { ::close(fd_); }
  size_t read() {
    std::vector<char> block(1 << 20);
    size_t bytes = 0;
    ::lseek(fd_, 0, SEEK_SET);
    for (ssize_t n; (n = ::read(fd_, block.data(), block.size())) > 0;) bytes += size_t(n);
    return bytes;
  }
  /// Asks the system to forget the file's pages, so that they come from the disk again.
  void evict() {
    ::fsync(fd_);
    ::posix_fadvise(fd_, 0, 0, POSIX_FADV_DONTNEED);
  }

 private:
  int fd_;
};

}  // namespace

int bench_load(const CommonOptions& common, const LoadBenchOptions& options) {
  Stream stream = open_device(common);
  std::printf("%s\n\n%-32s %8s %6s %12s %12s %12s %10s\n", machine_description().c_str(), "file", "MB", "pages",
              "read ms", "load ms", "load min ms", "load MB/s");
  nlohmann::json rows = nlohmann::json::array();
  for (const std::string& path : options.files) {
    Program program = program_of(
        [&] {
          const WeightsFile file = WeightsFile::open(path);
          return identify(without_wrapper_prefix(file.state_dict()), net_families());
        }(),
        stream);
    PlainFile plain(path);
    const double megabytes = double(plain.read()) / 1e6;
    const std::function<void()> read = [&] { plain.read(); };
    const std::function<void()> load = [&] {
      const WeightsFile file = WeightsFile::open(path);
      load_params(stream, program.params(), net_parameters(file.state_dict()));
      stream.sync();
    };
    for (const bool cold : {false, true}) {
      // One after the other, so that whatever else the machine does touches both.
      std::vector<double> seconds[2];
      for (int i = 0; i < options.repeat; ++i)
        for (int k = 0; k < 2; ++k) {
          if (cold) plain.evict();
          const double start = now();
          (k == 0 ? read : load)();
          seconds[k].push_back(now() - start);
        }
      const Timing reads = timing_of(seconds[0]), loads = timing_of(seconds[1]);
      const char* pages = cold ? "cold" : "warm";
      std::printf("%-32s %8.1f %6s %12.1f %12.1f %12.1f %10.0f\n", path.substr(path.rfind('/') + 1).c_str(), megabytes,
                  pages, reads.median * 1e3, loads.median * 1e3, loads.low * 1e3, megabytes / loads.median);
      rows.push_back({{"file", path},
                      {"megabytes", megabytes},
                      {"pages", pages},
                      {"read_s", reads.median},
                      {"load_s", loads.median},
                      {"load_min_s", loads.low}});
    }
  }
  write_report(options.json, {{"machine", machine_description()}, {"device", stream.description()}, {"loads", rows}});
  return 0;
}

}  // namespace telltale
