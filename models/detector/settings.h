#pragma once
// What one call of `train` was told.
#include "base/args.h"
#include "models/detector/recipe.h"

namespace telltale {

struct TrainSettings {
  Recipe recipe;
  std::string data, out, init = "none";
  bool resume = false, check = false;
  double checkpoint_minutes = 10;
  int workers = 0;
  int cache_mb = 0;
  std::string resident = "auto";  ///< auto, on, off: whether decoded images stay where the net runs
  bool chains = true;             ///< in f16 on a GPU: batch norms inside convolutions
  CommonOptions common;
};

}  // namespace telltale
