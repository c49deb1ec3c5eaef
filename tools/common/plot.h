#pragma once
// Pictures of results, drawn by gnuplot.
#include <span>
#include <string>

#include "tools/common/metrics.h"

namespace telltale {

/// Each writes a PNG, whole or not at all, and returns whether gnuplot could; without gnuplot nothing is lost but the
/// picture.
bool plot_roc(const std::string& path, std::span<const RocPoint> curve, double auc);
bool plot_confusion(const std::string& path, const Confusion& confusion, double threshold);

}  // namespace telltale
