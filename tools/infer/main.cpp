// infer: files in, a verdict a line out.
#include <CLI/CLI.hpp>

#include "base/log.h"
#include "base/outputs.h"
#include "models/device.h"
#include "models/locator/locator.h"
#include "models/shipped.h"
#include "tools/infer/tasks.h"

namespace telltale {
namespace {

void add_options(CLI::App& app, InferSettings& s) {
  app.add_option("PATH", s.paths, "pictures (JPEG, PNG, WebP …), folders (subfolders included), patterns")->required();
  app.add_option("--weights", s.weights,
                 "a locator's or a detector's weights, as train wrote them; left out: the locator that ships");
  app.add_option("--json", s.json, "where the result lines go; - is standard output")->capture_default_str();
  app.add_option("--annotate", s.annotations,
                 "folder for copies with box (or map and regions) and probability drawn in");
  app.add_option("--masks", s.masks,
                 "folder for a locator's maps: PNGs, 255 times the probability of each pixel; or for --explain's");
  app.add_option("--report", s.report, "a file to write, NAME.html: every picture with its map, verdict and box");
  app.add_option("--report-mb", s.report_mb, "how large its pictures may be, all together; more get smaller")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  app.add_flag("--explain", s.explain,
               "with a detector: where it looked (Grad-CAM), into --annotate, --masks and --report");
  app.add_option("--threshold", s.threshold,
                 "probability from which an image counts as fake; left out: as a locator was calibrated, else 0.5")
      ->check(CLI::Range(0.0, 1.0));
  app.add_flag("--check", s.check,
               "no verdicts: run the first images on this device and on another, and name the first node that differs");
  app.add_option("--precision", s.precision,
                 "of activations; auto: bf16 where the processor is faster in it, else f32; tf32 on CUDA only")
      ->check(CLI::IsMember({"auto", "f32", "tf32", "bf16", "f16"}))
      ->capture_default_str();
  app.add_option("--batch", s.batch, "images at once through a detector")
      ->check(CLI::Range(1, 4096))
      ->capture_default_str();
  add_rank_timeout(app, s.rank_timeout);
}

int infer(InferSettings s, const CommonOptions& common) {
  if (s.weights.empty()) s.weights = shipped_weights("locator.safetensors", "--weights FILE");
  const NamedImages named = images_named(s.paths, {s.annotations, s.masks});
  const std::vector<std::string>& paths = named.paths;
  for (const Remarks& lines : {named.unreadable, named.remarks})
    for (const std::string& line : lines) spdlog::warn("{}", line);
  std::vector<std::string> inputs = paths;
  inputs.push_back(s.weights);
  if (s.json != "-") check_text_output("--json", s.json, inputs);
  if (!s.report.empty()) {
    check_text_output("--report", s.report, inputs);
    check_apart("--report", s.report, "--json", s.json);
  }
  TT_CHECK(!s.explain || !s.check, UsageError, "--explain draws, and --check says no verdicts: give one of them");
  TT_CHECK(!s.explain || !(s.annotations.empty() && s.masks.empty() && s.report.empty()), UsageError,
           "--explain draws where the net looked: say where to, by --annotate, --masks or --report");
  if (s.check) require_one_process(*s.ranks, "--check");
  s.command = common.command;
  Stream stream = open_device(common);
  const bool locates = is_locator(WeightsFile::open(s.weights).metadata());
  TT_CHECK(!s.explain || !locates, UsageError, "--explain: ", s.weights,
           " is a locator, whose map is the explanation: --annotate, --masks and --report show it as they are");
  if (s.check) return locates ? check_locator(s, paths, stream) : check_detector(s, paths, stream);
  const int failed = (locates ? locate : detect)(s, named, stream) + int(named.unreadable.size());
  if (failed == 0 || !s.ranks->leads()) return 0;
  spdlog::error("{} of {} files could not be read or {}", failed, paths.size() + named.unreadable.size(),
                s.masks.empty() ? "annotated" : "drawn");
  return 1;
}

}  // namespace
}  // namespace telltale

int main(int argc, char** argv) {
  using namespace telltale;
  InferSettings settings;
  return run_tool(
      {"infer", "Say of each image whether a region of it was painted, and which."}, argc, argv,
      [&](CLI::App& app) { add_options(app, settings); },
      [&](const CommonOptions& common) {
        return in_ranks(settings.rank_timeout, [&](Ranks& ranks) {
          settings.ranks = &ranks;
          return infer(settings, common);
        });
      });
}
