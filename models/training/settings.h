#pragma once
// What one call of `train` was told besides its recipe.
#include <nlohmann/json.hpp>
#include <string>

#include "base/args.h"
#include "base/ranks.h"
#include "data/dataset.h"

namespace telltale {

/// How processes that train together exchange gradients.
struct GradientExchange {
  double bucket_mb = 5;  ///< at least so many go together, while backward runs on; 0: all, when it has ended
  bool bf16 = false;     ///< rounded to bf16 on their way, and so is their sum
};

/// Of any run.
struct RunSettings {
  std::string out, init = "none", tensorboard;
  bool resume = false;
  double checkpoint_minutes = 10;
  int workers = 0;  ///< decoding threads; 0: one per core
  CommonOptions common;
  Ranks* ranks = &Ranks::none();  ///< the processes that train together
  double rank_timeout = 600;      ///< seconds that they wait for one of them
  int rank_check = 100;           ///< steps between comparisons of their parameters
  GradientExchange exchange;
};
/// Offers --out, --init, --resume, --checkpoint-minutes, --tensorboard, --workers, --rank-timeout, --rank-check,
/// --rank-bucket and --rank-transport.
void add_run_flags(CLI::App&, RunSettings&);

/// Of a run over a dataset folder.
struct TrainSettings : RunSettings {
  std::vector<std::string> data;       ///< as Dataset::open takes them
  std::vector<std::string> leave_out;  ///< painters whose fakes are not shown
  Dataset open_data() const;           ///< those folders, without those painters
  bool check = false;
  int cache_mb = 0;
  std::string resident = "auto";  ///< auto, on, off: whether decoded images stay where the net runs
  bool sync_batchnorm = false;    ///< batch norm over all ranks' passes of a step
  bool chains = true;             ///< in f16 on a GPU: batch norms inside convolutions
};
/// Those and --data, --leave-out, --check, --cache-mb, --resident, --sync-batchnorm and --no-chains.
void add_train_flags(CLI::App&, TrainSettings&);
/// Lets --batch, which must be offered already, be "auto".
void offer_auto_batch(CLI::App&);
/// Whether it is among the command line's values; then takes it away.
bool take_auto_batch(nlohmann::json& overrides);

}  // namespace telltale
