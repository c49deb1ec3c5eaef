#include "models/training/run.h"

#include <optional>

#include "base/interrupt.h"
#include "base/json_text.h"
#include "base/log.h"
#include "base/outputs.h"
#include "models/device.h"

namespace telltale {

using nlohmann::ordered_json;

namespace {

/// Rank 0 keeps it; the others learn whether there is something to go on from.
RunFolder open_folder(const RunSettings& settings) {
  std::optional<RunFolder> folder;
  const std::string continues = settings.ranks->tell([&] {
    folder.emplace(settings.out, settings.resume);
    return std::string(folder->continues() ? "yes" : "");
  });
  return folder ? std::move(*folder) : RunFolder::kept_elsewhere(settings.out, !continues.empty());
}

}  // namespace

Run::Run(const RunSettings& settings, Stream& stream, RunProgress& progress)
    : run_settings_(settings), stream_(&stream), folder_(open_folder(settings)), progress_(progress) {
  if (settings.tensorboard.empty()) return;
  check_output_folder("--tensorboard", settings.tensorboard);
  folder_.show_in(settings.tensorboard);
}

ordered_json Run::config() const {
  ordered_json j;
  j["task"] = task();
  j["recipe"] = recipe_json();
  j["seed"] = run_settings_.common.seed;
  j["init"] = {{"path", run_settings_.init}, {"sha256", init_sha256_}};
  j.update(describe());
  j["command"] = run_settings_.common.command;
  j["device"] = stream_->description();
  j["machine"] = machine_description();
  if (!ranks().alone()) j["ranks"] = ranks().size();
  if (run_settings_.exchange.bf16) j["rank_transport"] = "bf16";
  return j;
}

/// What must be the same when a run goes on: name → value.
ordered_json Run::binding(const ordered_json& config) const {
  ordered_json settings = config.at("recipe");
  settings.erase("description");
  if (config.at("recipe").at("schedule") == "constant") {  // a run may be made longer
    for (const char* length : {"epochs", "steps"}) settings.erase(length);
  }
  settings["seed"] = config.at("seed");
  settings["init"] = config.at("init").at("path");
  settings["rank_transport"] = config.value("rank_transport", "f32");
  bind(config, settings);
  return settings;
}

void Run::start_or_continue(const std::string& header) {
  if (!folder_.continues()) init_sha256_ = take_initial_weights();
  require_same_settings();
  const ordered_json in_force = ordered_json::parse(ranks().tell([this] {
    return folder_.begin(config(), [this](const ordered_json& config) { return binding(config); }).dump();
  }));
  if (folder_.continues()) {
    init_sha256_ = in_force.at("init").at("sha256").get<std::string>();
    check_config(in_force);
    if (in_force.at("device") != stream_->description()) {
      spdlog::warn("this run began on {}: on another device it goes on, but not bit for bit",
                   in_force.at("device").get<std::string>());
    }
    if (const int before = in_force.value("ranks", 1); before != ranks().size()) {
      spdlog::info("this run began in {} processes and goes on in {}: the same samples in the same order", before,
                   ranks().size());
    }
    load_checkpoint(folder_.checkpoint(), parts(), [this](const nlohmann::json& j) { take_progress(j); });
    spdlog::info("continuing after step {}", progress_.step);
  } else {
    progress_.results = header;
  }
  folder_.rewind(progress_.step, epochs_done(), progress_.results);
}

void Run::require_same_settings() const {
  if (ranks().alone()) return;
  const ordered_json mine = binding(config());
  const std::vector<std::string> all = ranks().gather(json_text(mine));
  const ordered_json leading = ordered_json::parse(all[0]);
  for (size_t r = 1; r < all.size(); ++r) {
    const ordered_json other = ordered_json::parse(all[r]);
    for (const auto& [name, value] : leading.items())
      TT_CHECK(other.contains(name) && other.at(name) == value, UsageError, "rank ", r, " was started with another ",
               name, " than rank 0: ", other.value(name, ordered_json()).dump(), ", not ", value.dump());
  }
}

void Run::save() {
  save_checkpoint(folder_.checkpoint(), parts(), progress_json(), checkpoint_metadata());
  folder_.write_results(progress_.results);
}

void Run::checkpoint() {
  ranks().lead([this] { save(); });
  saved_ = Clock::now();
}

void Run::checkpoint_if_due() {
  // By rank 0's clock.
  if (!ranks().any(ranks().leads() && seconds_since(saved_) >= run_settings_.checkpoint_minutes * 60)) return;
  settle();
  checkpoint();
}

void Run::stop_if_interrupted() {
  if (!ranks().any(interrupted())) return;
  settle();
  checkpoint();
  say_stopped();
}

void Run::say_stopped() const {
  throw Error(cat("stopped after step ", progress_.step, "; all is saved. Continue with: ",
                  run_settings_.common.command, run_settings_.resume ? "" : " --resume"));
}

ParameterCount count_parameters(const Params& params) {
  ParameterCount n;
  for (const Param& p : params.all()) {
    if (p.spec.trainable) n.all += p.spec.shape.numel();
    if (p.trainable) n.trained += p.spec.shape.numel();
  }
  return n;
}

}  // namespace telltale
