#include "models/training/settings.h"

#include <CLI/CLI.hpp>

namespace telltale {
namespace {
constexpr int kAutoBatch = -1;  // what --batch auto becomes: no batch that a user could mean
}  // namespace

void offer_auto_batch(CLI::App& app) {
  app.get_option("--batch")->transform(
      CLI::Transformer(std::map<std::string, std::string>{{"auto", std::to_string(kAutoBatch)}})
          .description("or auto: what fits the memory"));
}

bool take_auto_batch(nlohmann::json& overrides) {
  const bool chosen = overrides.value("batch", 1) == kAutoBatch;
  if (chosen) overrides.erase("batch");
  return chosen;
}

void add_run_flags(CLI::App& app, RunSettings& s) {
  app.add_option("--out", s.out, "run folder: empty, or with --resume a run's")->required();
  app.add_option("--init", s.init, "weights to start from (safetensors or .pth, PyTorch's names), or none")
      ->capture_default_str();
  app.add_flag("--resume", s.resume, "continue from the run folder's last checkpoint");
  app.add_option("--tensorboard", s.tensorboard,
                 "folder for event files, which TensorBoard shows: every figure, and sample pictures where there are");
  app.add_option("--checkpoint-minutes", s.checkpoint_minutes,
                 "save that often besides after every epoch or report; 0: after every step")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  app.add_option("--workers", s.workers, "decoding threads; 0: one per core")->check(CLI::Range(0, 1024));
  add_rank_timeout(app, s.rank_timeout);
  app.add_option("--rank-check", s.rank_check, "steps between comparisons of the processes' parameters")
      ->check(CLI::PositiveNumber)
      ->capture_default_str()
      ->group("Several processes (mpirun, srun)");
  app.add_option("--rank-bucket", s.exchange.bucket_mb,
                 "MB of gradients that are summed over the processes together, while backward runs on; 0: all of them, "
                 "after it; the result is the same")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str()
      ->group("Several processes (mpirun, srun)");
  app.add_option("--rank-transport", s.exchange.bf16,
                 "type of gradients on their way between passes: f32, or bf16, which rounds them and their sum")
      ->transform(CLI::Transformer(std::map<std::string, bool>{{"f32", false}, {"bf16", true}}))
      ->default_str("f32")
      ->group("Several processes (mpirun, srun)");
}

Dataset TrainSettings::open_data() const {
  const Dataset all = Dataset::open(data);
  return leave_out.empty() ? all : all.without_painters(leave_out);
}

void add_train_flags(CLI::App& app, TrainSettings& s) {
  app.add_option("--data", s.data,
                 "dataset folder; of further ones, their images of the same size, the training split joins its own")
      ->required();
  app.add_option("--leave-out", s.leave_out,
                 "PAINTER,…: show no fakes of these, as labels.csv names them; eval --painters judges by them alone")
      ->delimiter(',');
  add_run_flags(app, s);
  app.add_flag("--check", s.check,
               "train nothing: run one step on this device and on another, and name the first node that differs");
  app.add_option("--cache-mb", s.cache_mb, "memory for decoded images")->check(CLI::Range(0, 1 << 24));
  app.add_flag("!--no-chains", s.chains, "in f16 on a GPU: keep batch norms out of the convolutions around them");
  app.add_flag("--sync-batchnorm", s.sync_batchnorm,
               "batch norm over a step's whole batch, one pass of it in each process")
      ->group("Several processes (mpirun, srun)");
  app.add_option("--resident", s.resident,
                 "keep the decoded training images on the device: auto (on a GPU, where they fit), on or off; the "
                 "results are the same")
      ->check(CLI::IsMember({"auto", "on", "off"}))
      ->capture_default_str();
}

}  // namespace telltale
