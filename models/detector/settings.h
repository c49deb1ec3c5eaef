#pragma once
// What one call of `train --task detect` was told.
#include "models/detector/recipe.h"
#include "models/training/settings.h"

namespace telltale {

struct DetectSettings : TrainSettings {
  Recipe recipe;
};

}  // namespace telltale
