#pragma once
// A training run as a file: everything that the next step depends on.
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "engine/program.h"
#include "weights/safetensors.h"

namespace telltale {

/// A net of a run, by the prefix of its tensors' names.
struct CheckpointPart {
  std::string prefix;
  Program* program;
  bool trains = true;  ///< else it has parameters and statistics alone, right under its prefix
};

/// Writes `progress` into the metadata, whole or not at all; of each part parameters and statistics under prefix +
/// "model.", Adam's moments under prefix + "adam.m." and "adam.v.", all by their state_dict names, and the dynamic loss
/// scale where there is one. Throws Error when a value is not finite: what is saved must be worth going on from.
void save_checkpoint(const std::string& path, const std::vector<CheckpointPart>&, nlohmann::json progress,
                     Metadata metadata);
/// Fills the programs of the same nets from a checkpoint, bit by bit, and hands `progress` to `take`. Throws DataError
/// with path and reason.
void load_checkpoint(const std::string& path, const std::vector<CheckpointPart>&,
                     const std::function<void(const nlohmann::json& progress)>& take);

}  // namespace telltale
