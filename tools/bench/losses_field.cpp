// Fields: what a loss says of every place and size of a box, and where its gradient pushes it.
#include <algorithm>
#include <cmath>

#include "base/atomic_file.h"
#include "base/table.h"
#include "models/plot.h"
#include "tools/bench/losses.h"

namespace telltale {
namespace {

constexpr double kTarget[4] = {-0.5, -0.5, 0.5, 0.5};
constexpr int kArrowEvery = 6;

/// The loss over a grid and its gradient in the grid's two directions, row by row.
struct Field {
  const char *name, *x_name, *y_name;
  std::vector<double> at_x, at_y, loss, gradient_x, gradient_y;
};

std::vector<double> grid(double low, double high, int points) {
  std::vector<double> at;
  at.reserve(size_t(points));
  for (int i = 0; i < points; ++i) at.push_back(low + (high - low) * i / (points - 1));
  return at;
}

/// place(x, y, box) writes a box's corners; along(dp) is the gradient in x and y.
template <class Place, class Along>
Field sample_field(const RowLoss& loss, Field f, const Place& place, const Along& along) {
  const GradientCheck check = loss.gradient_check();
  for (double y : f.at_y) {
    for (double x : f.at_x) {
      double box[4], gradient[4];
      place(x, y, box);
      f.loss.push_back(check.gradient(box, kTarget, gradient));
      const auto [dx, dy] = along(gradient);
      f.gradient_x.push_back(dx);
      f.gradient_y.push_back(dy);
    }
  }
  return f;
}

Field offsets(const RowLoss& loss) {
  const auto place = [](double x, double y, double* box) {
    for (int k = 0; k < 4; ++k) box[k] = kTarget[k] + (k % 2 ? y : x);
  };
  const auto along = [](const double* dp) { return std::pair(dp[0] + dp[2], dp[1] + dp[3]); };
  return sample_field(loss, {"offset", "centre x", "centre y", grid(-2, 2, 97), grid(-2, 2, 97), {}, {}, {}}, place,
                      along);
}
Field sizes(const RowLoss& loss) {
  const auto place = [](double w, double h, double* box) {
    box[0] = -w / 2, box[1] = -h / 2, box[2] = w / 2, box[3] = h / 2;
  };
  const auto along = [](const double* dp) { return std::pair((dp[2] - dp[0]) / 2, (dp[3] - dp[1]) / 2); };
  return sample_field(loss, {"size", "width", "height", grid(0.04, 3, 75), grid(0.04, 3, 75), {}, {}, {}}, place,
                      along);
}

Map map_of(const Field& f, const std::string& title, const std::vector<double>& value) {
  return {title, f.x_name, f.y_name, f.at_x, f.at_y, value, {}};
}

/// Descent on the loss: arrows of one length, none where there is no gradient.
Map loss_map(const Field& f) {
  Map map = map_of(f, "loss, and where descent goes", f.loss);
  const double length = 0.8 * kArrowEvery * (f.at_x[1] - f.at_x[0]);
  const size_t columns = f.at_x.size();
  for (size_t iy = kArrowEvery / 2; iy < f.at_y.size(); iy += kArrowEvery) {
    for (size_t ix = kArrowEvery / 2; ix < columns; ix += kArrowEvery) {
      const double dx = f.gradient_x[iy * columns + ix], dy = f.gradient_y[iy * columns + ix],
                   norm = std::hypot(dx, dy);
      if (!(norm > 1e-9)) continue;
      map.arrows.push_back({f.at_x[ix], f.at_y[iy], -dx / norm * length, -dy / norm * length});
    }
  }
  return map;
}
Map steepness_map(const Field& f) {
  std::vector<double> norm;
  for (size_t i = 0; i < f.loss.size(); ++i) norm.push_back(std::hypot(f.gradient_x[i], f.gradient_y[i]));
  return map_of(f, "size of the gradient", norm);
}

std::string csv_of(const std::vector<Field>& fields) {
  std::string csv = "field,x,y,loss,gradient_x,gradient_y\n";
  for (const Field& f : fields) {
    for (size_t i = 0; i < f.loss.size(); ++i) {
      csv += std::string(f.name) + "," + exact_number(f.at_x[i % f.at_x.size()]) + "," +
             exact_number(f.at_y[i / f.at_x.size()]) + "," + exact_number(f.loss[i]) + "," +
             exact_number(f.gradient_x[i]) + "," + exact_number(f.gradient_y[i]) + "\n";
    }
  }
  return csv;
}

bool write_label_field(const std::string& base, const StudiedLoss& l) {
  const GradientCheck check = l.loss->gradient_check();
  CurvePanel loss{l.label + ": loss", "logit", "", {}}, gradient{l.label + ": gradient", "logit", "", {}};
  std::string csv = "label,logit,loss,gradient\n";
  for (double label : {0.0, 0.5, 1.0}) {
    const std::string name = "label " + short_number(label);
    Curve value{name, {}, {}}, derivative{name, {}, {}};
    for (double x : grid(-8, 8, 161)) {
      double dp = 0;
      const double y = check.gradient(&x, &label, &dp);
      csv += short_number(label) + "," + short_number(x) + "," + exact_number(y) + "," + exact_number(dp) + "\n";
      value.x.push_back(x), value.y.push_back(y);
      derivative.x.push_back(x), derivative.y.push_back(dp);
    }
    loss.curves.push_back(value);
    gradient.curves.push_back(derivative);
  }
  write_atomically(base + ".csv", csv);
  return plot_curves(base + ".png", {loss, gradient});
}

}  // namespace

bool write_field(const std::string& out, const StudiedLoss& l) {
  const std::string base = out + "/fields_" + l.label;
  if (l.info.compares_labels) return write_label_field(base, l);
  if (!l.info.compares_boxes()) return true;
  const Field offset = offsets(*l.loss), size = sizes(*l.loss);
  write_atomically(base + ".csv", csv_of({offset, size}));
  return plot_maps(base + ".png", l.label + " against a target of 1 x 1 at (0, 0)",
                   {loss_map(offset), loss_map(size), steepness_map(offset), steepness_map(size)}, 2);
}

}  // namespace telltale
