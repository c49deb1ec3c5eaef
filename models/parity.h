#pragma once
// Replays of parity cases: safetensors files that hold a computation's inputs and what PyTorch made of them.
#include <string>
#include <vector>

#include "kernels/device/stream.h"
#include "weights/safetensors.h"

namespace telltale {

struct ParityOptions {
  DType compute = DType::f32;
  double tolerance = 0;                ///< of every tensor; 0: kForwardTolerance and kTrainingTolerance
  const StateDict* weights = nullptr;  ///< in place of the case's own param.*
};
/// Default limits on ‖out − ref‖/‖ref‖: outputs and losses, and gradients and parameters after optimiser steps.
constexpr double kForwardTolerance = 1e-5, kTrainingTolerance = 1e-4;
/// Of a generator's refined output: the softmax before it takes ten times the scores, and so ten times what f32 rounded
/// of them, in PyTorch as here.
constexpr double kRefinedTolerance = 1e-4;

/// One compared tensor.
struct ParityRow {
  std::string tensor;
  double largest = 0;   ///< largest absolute difference
  double relative = 0;  ///< ‖out − ref‖/‖ref‖; the norm of the difference where ref is 0 throughout
  double limit = 0;
  bool passed() const { return relative <= limit; }  // a NaN does not pass
};
struct ParityReport {
  std::string what;  ///< "net resnet18, train, 3 steps"
  std::vector<ParityRow> rows;
  StateDict computed;  ///< what stood against each tensor, under its name
  bool passed() const;
};

/// Runs the case on the stream. `kind` in the file's metadata is net, inpaint or loss; its keys and tensors are
/// described in tests/golden/README.md. Throws DataError naming what the file lacks or has too much of.
ParityReport replay_parity_case(Stream&, const Safetensors&, const ParityOptions&);
/// Prints a case's path, what was run, and a line per tensor with its verdict.
void print_parity_report(const std::string& path, const ParityReport&);

}  // namespace telltale
