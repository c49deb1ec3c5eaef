#pragma once
// bench losses, the laboratory: what a loss is like before anything trains on it.
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/args.h"
#include "losses/audit.h"
#include "losses/pixels.h"
#include "losses/registry.h"

namespace telltale {

struct LossBenchOptions {
  std::vector<std::string> losses, files;  ///< NAME or NAME:SETTING=VALUE; loss files
  std::string out;
  int starts = 40;     ///< points the simulated boxes start from: 343 boxes each
  int rows = 1 << 18;  ///< or pixels, of the batch whose speed is measured
};
int bench_losses(const CommonOptions&, const LossBenchOptions&);

/// A loss under study, as the user named it; those over pixels are called pixel_NAME here, as their files are.
struct StudiedLoss {
  std::string label, name;
  LossSettings settings;
  std::unique_ptr<RowLoss> loss;  ///< null for one over pixels
  std::unique_ptr<Loss> pixels;   ///< which is here
  LossInfo info;
  const Loss& either() const { return pixels ? *pixels : *loss; }
};

/// The worst gradient among samples of one kind: "touching edges", "own samples".
struct KindError {
  std::string kind;
  GradientPoint worst;
};
/// By the kinds of losses/samplers.h where the loss samples boxes, else its own samples as one kind; the worse of the
/// gradient used in training and the formula's.
std::vector<KindError> gradient_errors_by_kind(const RowLoss&, uint64_t seed);

/// What is written of a field: fields_LABEL.csv and .png. Boxes: the loss and its gradient around a target of 1 × 1 at
/// (0, 0), for a box of the same size at offsets in [−2, 2]², and for one of the same centre with sides in (0, 3]².
/// Labels: against the logit. Nothing for other losses. Returns whether the picture, if any, was drawn.
bool write_field(const std::string& out, const StudiedLoss&);

/// Boxes regressed by gradient descent (Zheng 2020, "Distance-IoU loss", simulation experiment and algorithm 1).
struct Simulation {
  struct Step {
    double iou = 0, error = 0;  ///< means: IoU, |Δx| + |Δy| + |Δw| + |Δh|
    double iou_overlapping = 0,
           iou_apart = 0;   ///< of the boxes that overlapped their target at the start, and of others
    double share_good = 0;  ///< with IoU above 0.75
  };
  struct Start {
    double x, y, iou;  ///< mean over its boxes at the end
  };
  std::vector<Step> steps;  ///< 0 is before the first step
  std::vector<Start> starts;
};
constexpr int kSimulationSteps = 200;
/// Targets of area 1 and seven aspect ratios from 1:4 to 4:1 at (10, 10); from each of `points` places within 3 of it
/// boxes of seven areas (0.5 … 2) and the same aspect ratios go for each target. B ← B − η (2 − IoU) ∂L/∂B on centre
/// and sides, η = 0.1, after 80 % of the steps 0.01, after 90 % 0.001. The paper has 5000 points.
Simulation simulate(const RowLoss&, int points, uint64_t seed);
/// Of pairs of random boxes about one target, the share of which the loss calls that one better that has the larger
/// IoU: the argument of Rezatofighi 2019 against norms. Only pairs whose IoUs differ and are not both 0.
double agreement_with_iou(const RowLoss&, uint64_t seed);
/// simulation.csv and .png, simulation_starts.csv, of labels and their simulations. Returns whether the
/// picture was drawn.
bool write_simulations(const std::string& out, const std::vector<std::pair<std::string, Simulation>>&);

/// Loss and gradient of a batch in f32 on one device.
struct LossSpeed {
  std::string device;
  int64_t rows = 0;          ///< or pixels
  double seconds = 0;        ///< the best of several, as the bandwidth is
  double bound_seconds = 0;  ///< every tensor read or written once, at the bandwidth of a copy measured beside it
};
/// For each loss, on the CPU and, where one may be used, on the GPU. Pixels come in maps of 64 × 64, one at least.
std::vector<std::vector<LossSpeed>> time_losses(const CommonOptions&, const std::vector<StudiedLoss>&, int rows);

}  // namespace telltale
