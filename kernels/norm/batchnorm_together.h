#pragma once
// Batch norm over the passes of several processes: where their sums meet.
#include <functional>
#include <span>
#include <vector>

namespace telltale {

/// Gives every process all processes' numbers, in one order; all call it alike.
using GatherNumbers = std::function<std::vector<std::vector<double>>(std::span<const double>)>;
/// The one in force in this process: the host's training form then normalises over all processes' rows. Empty: each
/// pass stands alone. Not to be changed while a batch norm runs.
GatherNumbers& batchnorm_together();

/// What one process's rows came to, a number a channel, becomes what all processes' did: means and summed squared
/// deviations (Chan et al. 1979), or two sums. Returns the rows of all.
double join_processes(double rows, std::span<double> mean, std::span<double> squares);
double sum_processes(double rows, std::span<double> first, std::span<double> second);

}  // namespace telltale
