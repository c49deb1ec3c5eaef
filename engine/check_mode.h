#pragma once
// Two devices, one net: run both node by node and stop at the first that differs.
#include <string>

#include "engine/program.h"

namespace telltale {

/// The first disagreement of two runs, or none.
struct Disagreement {
  bool found = false;
  int tensors_compared = 0;
  std::string text;  ///< "node 2, conv1 forward y[0,3,5,1]: 0.25 on CPU, 0.5 on NVIDIA H200"
};
/// Runs forward (and backward where there are heads, the same on either side but for where their tensors lie) of the
/// same graph and parameters on both programs' streams and compares every node's y, dx and dw: |a − b| ≤ tolerance ·
/// (the tensor's root mean square + |a|). After each node b goes on from a's numbers, so that a difference is the
/// node's own and not what grew before it. Where one computes in TF32, both go on from a's numbers rounded to it, and
/// so are their parameters: rounding an operand errs by a share of each product, which is without limit beside a sum
/// that cancels, and what is rounded already loses nothing. In backward one element in 100 000 may be out: where a ReLU
/// or a maximum stands on its kink, rounding decides its gradient.
Disagreement compare_programs(Program& a, Program& b, std::span<const Program::Head> heads_a,
                              std::span<const Program::Head> heads_b, double tolerance);

}  // namespace telltale
