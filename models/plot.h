#pragma once
// Pictures of results, drawn by gnuplot.
#include <span>
#include <string>
#include <vector>

#include "models/metrics.h"

namespace telltale {

/// Each writes a PNG, whole or not at all, and returns whether gnuplot could; without gnuplot nothing is lost but the
/// picture.
bool plot_roc(const std::string& path, std::span<const RocPoint> curve, double auc);
bool plot_confusion(const std::string& path, const Confusion& confusion, double threshold);

/// A line of a panel.
struct Curve {
  std::string name;
  std::vector<double> x, y;
};
struct CurvePanel {
  std::string title, x, y;  ///< x, y: what stands at the axes
  std::vector<Curve> curves;
  bool log_y = false;
};
/// Panels side by side, all with the same curves' names in the same colours.
bool plot_curves(const std::string& path, const std::vector<CurvePanel>& panels);

/// Values over a grid as colours, with arrows on some of its points.
struct Map {
  struct Arrow {
    double x, y, dx, dy;
  };
  std::string title, x, y;
  std::vector<double> at_x, at_y, value;  ///< value[iy * at_x.size() + ix]
  std::vector<Arrow> arrows = {};
};
/// As many a row as `columns`.
bool plot_maps(const std::string& path, const std::string& title, const std::vector<Map>& maps, size_t columns);

/// A measured value with its interval.
struct Bar {
  std::string name;
  double value, low, high;
};
struct BarPanel {
  std::string title;
  std::vector<Bar> bars;
};
/// Panels side by side, each a row per bar.
bool plot_intervals(const std::string& path, const std::vector<BarPanel>& panels);

/// Runs a gnuplot script whose output is `path`: what all of them do.
bool draw_with_gnuplot(const std::string& path, const std::string& script);

}  // namespace telltale
