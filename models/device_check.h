#pragma once
// --check: the same net on two devices, node by node.
#include "engine/check_mode.h"

namespace telltale {

/// Whom a device is checked against: a GPU, or one emulated, against the CPU; the CPU against emulated device bodies.
Stream other_device(const Stream&);
/// What compare_programs may allow of one node in this type: its rounding, and that of sums in another order. `tf32`:
/// one of the two rounds f32 products to TF32.
double check_tolerance(DType compute, bool tf32 = false);
/// Prints the verdict in one line; returns the exit code: 0, or 1 when a node differs.
int report_check(const Disagreement&, const Stream& a, const Stream& b);

}  // namespace telltale
