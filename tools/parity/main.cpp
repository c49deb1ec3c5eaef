// parity: replays cases written by PyTorch and says tensor by tensor how far off this engine is.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>

#include "base/args.h"
#include "losses/loss_file.h"
#include "models/device.h"
#include "models/parity.h"

int main(int argc, char** argv) {
  using namespace telltale;
  std::vector<std::string> paths;
  std::string precision = "f32", loss_file, save;
  ParityOptions options;
  return run_tool(
      {"parity", "Replay parity cases and compare every tensor with what PyTorch computed."}, argc, argv,
      [&](CLI::App& app) {
        app.add_option("CASE", paths, "safetensors files (docs: tests/golden/README.md)")->required();
        app.add_option("--precision", precision, "f32, tf32, f64, bf16 or f16")->capture_default_str();
        app.add_option("--tolerance", options.tolerance,
                       "largest relative error of any tensor (default 1e-5 forward, 1e-4 after backward or optimiser)")
            ->check(CLI::PositiveNumber);
        app.add_option("--loss-file", loss_file, "take the cases' loss from this file (docs/losses.md)");
        app.add_option("--save", save,
                       "folder for what was computed: the expect.* tensors, in a file named as the case");
      },
      [&](const CommonOptions& common) {
        Stream stream = open_device(common);
        options.compute = precision_of(precision, stream);
        size_t passed = 0;
        if (!loss_file.empty()) load_loss_file(loss_file);
        for (const std::string& path : paths) {
          const ParityReport report = replay_parity_case(stream, Safetensors::open(path), options);
          print_parity_report(path, report);
          if (!save.empty()) {
            std::filesystem::create_directories(save);
            write_safetensors(std::filesystem::path(save) / std::filesystem::path(path).filename(), report.computed);
          }
          passed += report.passed();
        }
        std::printf("%zu of %zu cases passed\n", passed, paths.size());
        return passed == paths.size() ? 0 : 1;
      });
}
