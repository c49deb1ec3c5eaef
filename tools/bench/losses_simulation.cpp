// Boxes that a loss pulls to their targets: the simulation of the DIoU paper, and the argument of the GIoU paper.
#include <algorithm>
#include <cmath>

#include "base/atomic_file.h"
#include "base/table.h"
#include "kernels/device/philox.h"
#include "models/plot.h"
#include "models/real_box.h"
#include "tools/bench/losses.h"

namespace telltale {
namespace {

constexpr double kAspects[] = {1. / 4, 1. / 3, 1. / 2, 1, 2, 3, 4};  // width over height
constexpr double kAreas[] = {0.5, 0.67, 0.75, 1, 1.33, 1.5, 2};
constexpr double kCentre = 10, kRadius = 3;
constexpr double kGoodIou = 0.75;

/// A box as the paper descends on it. A negative side is that of an inverted box.
struct CentredBox {
  double x, y, w, h;
  void corners(double* c) const { c[0] = x - w / 2, c[1] = y - h / 2, c[2] = x + w / 2, c[3] = y + h / 2; }
  RealBox box() const {
    const double half_w = std::abs(w) / 2, half_h = std::abs(h) / 2;
    return {x - half_w, y - half_h, x + half_w, y + half_h};
  }
};
CentredBox shaped(double x, double y, double area, double aspect) {
  return {x, y, std::sqrt(area * aspect), std::sqrt(area / aspect)};
}
double error(const CentredBox& a, const CentredBox& b) {
  return std::abs(a.x - b.x) + std::abs(a.y - b.y) + std::abs(std::abs(a.w) - b.w) + std::abs(std::abs(a.h) - b.h);
}

double learning_rate(int step) {
  return step <= 0.8 * kSimulationSteps ? 0.1 : step <= 0.9 * kSimulationSteps ? 0.01 : 0.001;
}

/// Sums over boxes.
struct Sums {
  std::vector<Simulation::Step> steps = std::vector<Simulation::Step>(kSimulationSteps + 1);
  int64_t boxes = 0, overlapping = 0;
};

void follow(const GradientCheck& loss, CentredBox box, const CentredBox& target, Sums& sums) {
  const RealBox truth = target.box();
  double corners[4], goal[4], gradient[4];
  target.corners(goal);
  bool overlaps = false;
  for (int step = 0; step <= kSimulationSteps; ++step) {
    const double overlap = iou(box.box(), truth);
    if (step == 0) overlaps = overlap > 0;
    Simulation::Step& sum = sums.steps[size_t(step)];
    sum.iou += overlap;
    sum.error += error(box, target);
    (overlaps ? sum.iou_overlapping : sum.iou_apart) += overlap;
    sum.share_good += overlap > kGoodIou;
    box.corners(corners);
    loss.gradient(corners, goal, gradient);
    const double rate = learning_rate(step + 1) * (2 - overlap);
    box.x -= rate * (gradient[0] + gradient[2]);
    box.y -= rate * (gradient[1] + gradient[3]);
    box.w -= rate * (gradient[2] - gradient[0]) / 2;
    box.h -= rate * (gradient[3] - gradient[1]) / 2;
  }
  ++sums.boxes;
  sums.overlapping += overlaps;
}

std::vector<std::pair<double, double>> starting_points(int count, uint64_t seed) {
  Random random(seed);
  std::vector<std::pair<double, double>> points;
  for (int i = 0; i < count; ++i) {
    const double radius = kRadius * std::sqrt(random.uniform()), angle = random.uniform(0, 2 * M_PI);
    points.emplace_back(kCentre + radius * std::cos(angle), kCentre + radius * std::sin(angle));
  }
  return points;
}

std::vector<double> column(const Simulation& s, double Simulation::Step::*member) {
  std::vector<double> values;
  for (const Simulation::Step& step : s.steps) values.push_back(step.*member);
  return values;
}

}  // namespace

Simulation simulate(const RowLoss& loss, int points, uint64_t seed) {
  const auto places = starting_points(points, seed);
  std::vector<Sums> per_point(places.size());
  const GradientCheck check = loss.gradient_check();
#pragma omp parallel for schedule(dynamic)
  for (size_t i = 0; i < places.size(); ++i) {
    for (double target : kAspects) {
      for (double area : kAreas) {
        for (double aspect : kAspects) {
          follow(check, shaped(places[i].first, places[i].second, area, aspect), shaped(kCentre, kCentre, 1, target),
                 per_point[i]);
        }
      }
    }
  }
  Sums all;  // in the order of points, whatever thread had them
  Simulation result;
  for (size_t i = 0; i < places.size(); ++i) {
    const Sums& part = per_point[i];
    for (size_t k = 0; k < all.steps.size(); ++k) {
      for (double Simulation::Step::*m :
           {&Simulation::Step::iou, &Simulation::Step::error, &Simulation::Step::iou_apart,
            &Simulation::Step::iou_overlapping, &Simulation::Step::share_good}) {
        all.steps[k].*m += part.steps[k].*m;
      }
    }
    all.boxes += part.boxes;
    all.overlapping += part.overlapping;
    result.starts.push_back({places[i].first, places[i].second, part.steps.back().iou / double(part.boxes)});
  }
  for (Simulation::Step& step : all.steps) {
    step.iou /= double(all.boxes);
    step.error /= double(all.boxes);
    step.share_good /= double(all.boxes);
    step.iou_overlapping /= double(all.overlapping);
    step.iou_apart /= double(all.boxes - all.overlapping);
  }
  result.steps = all.steps;
  return result;
}

double agreement_with_iou(const RowLoss& loss, uint64_t seed) {
  const GradientCheck check = loss.gradient_check();
  Random random(seed);
  const CentredBox target{0, 0, 1, 1};
  double goal[4];
  target.corners(goal);
  int64_t pairs = 0, agreed = 0;
  while (pairs < 20000) {
    double overlap[2], value[2];
    for (int k = 0; k < 2; ++k) {
      const CentredBox box{random.uniform(-1.5, 1.5), random.uniform(-1.5, 1.5), random.uniform(0.2, 2.5),
                           random.uniform(0.2, 2.5)};
      double corners[4], gradient[4];
      box.corners(corners);
      overlap[k] = iou(box.box(), target.box());
      value[k] = check.gradient(corners, goal, gradient);
    }
    if (overlap[0] == overlap[1]) continue;
    ++pairs;
    agreed += (value[0] < value[1]) == (overlap[0] > overlap[1]) && value[0] != value[1];
  }
  return double(agreed) / double(pairs);
}

bool write_simulations(const std::string& out, const std::vector<std::pair<std::string, Simulation>>& all) {
  std::string steps = "loss,step,mean_iou,mean_error,mean_iou_overlapping,mean_iou_apart,share_above_0.75\n";
  std::string starts = "loss,x,y,mean_iou_at_the_end\n";
  CurvePanel iou{"all boxes", "step", "mean IoU", {}}, apart{"boxes that start apart", "step", "mean IoU", {}},
      error{"all boxes", "step", "mean |dx| + |dy| + |dw| + |dh|", {}, true};
  std::vector<double> at(kSimulationSteps + 1);
  for (size_t k = 0; k < at.size(); ++k) at[k] = double(k);
  for (const auto& [label, s] : all) {
    for (size_t k = 0; k < s.steps.size(); ++k) {
      steps += label + "," + std::to_string(k);
      for (double v : {s.steps[k].iou, s.steps[k].error, s.steps[k].iou_overlapping, s.steps[k].iou_apart,
                       s.steps[k].share_good}) {
        steps += "," + exact_number(v);
      }
      steps += "\n";
    }
    for (const Simulation::Start& p : s.starts) {
      starts += label + "," + exact_number(p.x) + "," + exact_number(p.y) + "," + exact_number(p.iou) + "\n";
    }
    iou.curves.push_back({label, at, column(s, &Simulation::Step::iou)});
    apart.curves.push_back({label, at, column(s, &Simulation::Step::iou_apart)});
    error.curves.push_back({label, at, column(s, &Simulation::Step::error)});
  }
  write_atomically(out + "/simulation.csv", steps);
  write_atomically(out + "/simulation_starts.csv", starts);
  return plot_curves(out + "/simulation.png", {iou, apart, error});
}

}  // namespace telltale
