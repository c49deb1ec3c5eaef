#pragma once
// Sums of several tensors in a given order.
#include "kernels/device/dispatch.h"

namespace telltale {

/// total[i] = ((parts[0][i] + parts[1][i]) + parts[2][i]) + …, or with `add` (total[i] + parts[0][i]) + …: every sum
/// rounds in turn, so that the result does not depend on who makes it. parts: {count,1,1,n}, any floating type, count
/// ≥ 1; total: {1,1,1,n} of its accumulator type.
void ordered_sum(Stream&, Tensor parts, Tensor total, bool add);

}  // namespace telltale
