#pragma once
// A training run as a file: everything that the next step depends on.
#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "engine/program.h"
#include "weights/safetensors.h"

namespace telltale {

/// Where a run stands. All random choices are keyed by (seed, epoch, step), so that no generator's state is among it.
struct RunProgress {
  int epoch = 0;          ///< of the next step, from 0
  int batch = 0;          ///< of the next step, within the epoch; the number of batches when only validation is left
  int64_t step = 0;       ///< optimiser steps done
  int64_t samples = 0;    ///< seen in this epoch
  int64_t positives = 0;  ///< of those, fakes
  std::array<double, 2> loss_sums{};  ///< over this epoch's samples: classification, and box over the fakes
  int64_t correct = 0;                ///< of this epoch's samples: those whose logit had the label's sign
  double iou_sum = 0;                 ///< over this epoch's fakes
  std::optional<double> best_loss;    ///< lowest validation loss yet
  int best_epoch = 0;                 ///< counted from 1, as in results.csv
  std::string results;                ///< results.csv so far: the table follows from the checkpoint, never leads it
  bool operator==(const RunProgress&) const = default;
};

/// Everything an optimiser step changes: parameters and statistics under prefix + "model.", Adam's moments under prefix
/// + "adam.m." and "adam.v.", all by their torchvision names. The program must outlive it.
/// Throws Error when a value is not finite: what is saved must be worth going on from.
StateDict training_state(const Program& program, const std::string& prefix = "");
/// Fills a training program of the same net from that, bit by bit. Throws DataError.
void restore_training_state(const StateDict& dict, Program& program, const std::string& prefix = "");
/// Joins two.
void append(StateDict& to, StateDict part);

/// Writes parameters and statistics under "model.", Adam's moments under "adam.m." and "adam.v.", all by their
/// torchvision names; whole or not at all.
void save_checkpoint(const std::string& path, const Program& program, const RunProgress& progress, Metadata metadata);
/// Fills a training program from a checkpoint of the same net, bit by bit. Throws DataError with path and reason.
RunProgress load_checkpoint(const std::string& path, Program& program);

}  // namespace telltale
