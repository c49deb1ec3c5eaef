// synth: photographs to a dataset of images, half of which have a region painted by a generator.
#include <algorithm>
#include <array>
#include <optional>
#include <thread>

#include "tools/common/device.h"
#include "tools/common/interrupt.h"
#include "tools/common/log.h"
#include "tools/common/progress.h"
#include "tools/common/shipped.h"
#include "tools/synth/produce.h"

namespace telltale {
namespace {

constexpr int kCpuBatch = 4, kGpuBatch = 16;

void say_result(const ProduceReport& r, const std::vector<Row>& rows, const std::string& out) {
  std::array<std::array<int64_t, 2>, 4> count{};
  for (const Row& row : rows) ++count[size_t(row.label.split)][row.label.fake];
  for (const Split split : {Split::train, Split::validation, Split::test}) {
    const auto& [real, fake] = count[size_t(split)];
    spdlog::info("{}: {} real, {} fake", name_of(split), real, fake);
  }
  if (r.painted > 0)
    spdlog::info("painted {} in {} ({:.2f} images/s); the generator ran {:.0f} % of the time", r.painted,
                 duration(r.seconds), double(r.painted) / r.seconds, 100 * r.generator_seconds / r.seconds);
  spdlog::info("{}: {} images", out, rows.size());
}

void stop_if_interrupted() { TT_CHECK(!interrupted(), Error, "stopped; run the same command again to continue"); }

int synth(SynthSettings s, const CommonOptions& common) {
  s.seed = common.seed;
  if (s.weights.empty()) s.weights = shipped_weights(kShippedGenerator, "--weights FILE or --weights random:SEED");
  if (s.random_weights() && s.family.empty()) s.family = "csqiangwen";
  check(s);
  const std::string generator = generator_name(s);
  Stream stream = open_device(common);
  if (s.batch == 0) s.batch = stream.is_cuda() ? kGpuBatch : kCpuBatch;
  TaskPool pool(int(std::clamp(std::thread::hardware_concurrency(), 1u, 16u)));

  // Everything a user may have got wrong is looked at before the folder is touched.
  Inpainter inpainter(s, s.batch, stream);
  s.family = inpainter.net().name;
  const nlohmann::json settings = fingerprint(s, generator, stream.is_cuda());
  std::optional<Plan> plan;
  if (s.scenes == 0) plan = make_plan(s, s.photos, pool);

  Folder folder(s.out, settings);
  if (!plan) {
    draw_scenes(s.out + "/photos", s, pool);
    stop_if_interrupted();
    plan = make_plan(s, s.out + "/photos", pool);
  }
  folder.claim({{"photographs", plan->sha256()}});
  const ProduceReport report = produce(*plan, s, folder, inpainter, pool);
  stop_if_interrupted();
  const std::vector<Row> rows = folder.complete(*plan, s, generator);
  say_result(report, rows, s.out);
  if (folder.skipped().empty()) return 0;
  spdlog::error("{} of {} photographs were skipped; {}/dataset.json lists them", folder.skipped().size(),
                rows.size() + folder.skipped().size(), s.out);
  return 1;
}

}  // namespace
}  // namespace telltale

int main(int argc, char** argv) {
  using namespace telltale;
  SynthSettings settings;
  return run_tool(
      {"synth", "Make a dataset: paint a region of every other photograph."}, argc, argv,
      [&](CLI::App& app) { add_options(app, settings); },
      [&](const CommonOptions& common) { return synth(settings, common); });
}
