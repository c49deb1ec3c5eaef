// synth: photographs to a dataset of images, half of which have a region painted by a generator.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <optional>
#include <thread>

#include "base/interrupt.h"
#include "base/log.h"
#include "base/progress.h"
#include "models/device.h"
#include "models/shipped.h"
#include "models/synthesis/produce.h"
#include "models/synthesis/sheet.h"

namespace telltale {
namespace {

constexpr int kCpuBatch = 4, kGpuBatch = 16;

void say_painted(const ProduceReport& r) {
  if (r.painted > 0)
    spdlog::info("painted {} in {} ({:.2f} images/s); the generator ran {:.0f} % of the time", r.painted,
                 duration(r.seconds), double(r.painted) / r.seconds, 100 * r.generator_seconds / r.seconds);
}

void say_result(const ProduceReport& r, const std::vector<Row>& rows, const std::string& out) {
  std::array<std::array<int64_t, 2>, 4> count{};
  for (const Row& row : rows) ++count[size_t(row.label.split)][row.label.fake];
  for (const Split split : {Split::train, Split::validation, Split::test}) {
    const auto& [real, fake] = count[size_t(split)];
    spdlog::info("{}: {} real, {} fake", name_of(split), real, fake);
  }
  say_painted(r);
  spdlog::info("{}: {} images", out, rows.size());
}

void stop_if_interrupted() { TT_CHECK(!interrupted(), Error, "stopped; run the same command again to continue"); }

int end_of_shard(const SynthSettings& s, const ProduceReport& report, const Plan& plan, const DatasetFolder& folder) {
  say_painted(report);
  spdlog::info("{}: shard {} has its {} images; when all have, the same command without --shard finishes the dataset",
               s.out, s.shard, report.rows - int64_t(folder.skipped().size()));
  const size_t skipped = plan.skipped.size() + folder.skipped().size();
  if (skipped == 0) return 0;
  spdlog::error("{} photographs were skipped", skipped);
  return 1;
}

int finish(const SynthSettings& s, const ProduceReport& report, const Plan& plan, DatasetFolder& folder,
           const std::string& generator) {
  const std::vector<Row> rows = folder.complete(plan, s, generator);
  say_result(report, rows, s.out);
  if (!s.sheet.empty()) write_sheet(s.sheet, rows, s, folder);
  if (folder.skipped().empty()) return 0;
  spdlog::error("{} of {} photographs were skipped; {}/dataset.json lists them", folder.skipped().size(),
                rows.size() + folder.skipped().size(), s.out);
  return 1;
}

int synth(SynthSettings s, const CommonOptions& common) {
  TT_CHECK(s.ranks->alone() || s.shard.empty(), UsageError, "--shard: ", s.ranks->size(),
           " processes were started, which shard by themselves");
  s.seed = common.seed;
  s.read_size();
  if (s.weights.empty() && !s.generators().empty())
    s.weights = shipped_weights(kShippedGenerator, "--weights FILE or --weights random:SEED");
  const std::vector<std::string> weights = s.generators();
  if (s.family.empty() && std::any_of(weights.begin(), weights.end(), SynthSettings::is_random))
    s.family = "csqiangwen";
  check(s);
  check_sheet(s.sheet, s.out);
  const std::string generator = generator_name(s);
  Stream stream = open_device(common);
  s.precision = resolved_precision(s.precision, stream);
  if (s.batch == 0) s.batch = stream.is_cuda() ? kGpuBatch : kCpuBatch;
  TaskPool pool(int(std::clamp(std::thread::hardware_concurrency(), 1u, 16u)));

  // Everything a user may have got wrong is looked at before the folder is touched.
  Generators generators(s, stream);
  s.family = generators.families();
  const nlohmann::json settings = fingerprint(s, generator, stream.is_cuda());
  std::optional<Plan> plan;
  if (s.scenes == 0) plan = make_plan(s, s.photos, pool);

  std::optional<DatasetFolder> folder;
  s.ranks->lead([&] { folder.emplace(s.out, settings, s.part()); });
  s.ranks->each([&] {
    if (!folder) folder.emplace(s.out, settings, s.part());
  });
  if (!plan) {
    s.ranks->lead([&] {
      draw_scenes(s.out + "/photos", s, pool);
      stop_if_interrupted();
    });
    plan = make_plan(s, s.out + "/photos", pool);
  }
  // All of them again: two shards begun in the same moment with different settings both took the folder for empty.
  nlohmann::json all = settings;
  all["photographs"] = plan->sha256();
  s.ranks->each([&] { folder->claim(all); });
  const bool paints = std::any_of(plan->rows.begin(), plan->rows.end(), [](const Row& r) { return r.label.fake; });
  TT_CHECK(paints || s.sheet.empty(), UsageError, "--sheet ", s.sheet,
           ": nothing is to be painted, so there is nothing to show");
  const ProduceReport report = produce(*plan, s, *folder, generators, pool);
  TT_CHECK(!report.stopped, Error, "stopped; run the same command again to continue");
  if (s.ranks->alone())
    return s.part() ? end_of_shard(s, report, *plan, *folder) : finish(s, report, *plan, *folder, generator);
  const std::vector<Skipped> skipped = folder->skipped();
  folder.reset();
  s.ranks->any(false);
  int code = 0;
  s.ranks->lead([&] {
    folder.emplace(s.out, all);
    folder->join_skipped(skipped);
    code = finish(s, report, *plan, *folder, generator);
  });
  return code;
}

}  // namespace
}  // namespace telltale

int main(int argc, char** argv) {
  using namespace telltale;
  SynthSettings settings;
  return run_tool(
      {"synth", "Make a dataset: paint a region of every other photograph."}, argc, argv,
      [&](CLI::App& app) {
        add_options(app, settings);
        add_rank_timeout(app, settings.rank_timeout);
      },
      [&](const CommonOptions& common) {
        return in_ranks(settings.rank_timeout, [&](Ranks& ranks) {
          settings.ranks = &ranks;
          return synth(settings, common);
        });
      });
}
