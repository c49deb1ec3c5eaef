#include "models/painter_scores.h"

#include <map>

#include "base/check.h"

namespace telltale {

std::vector<PainterScores> scores_by_painter(std::span<const Sample> samples, std::span<const std::string> painters,
                                             double threshold) {
  TT_CHECK(samples.size() == painters.size(), UsageError, samples.size(), " samples, and painters of ",
           painters.size());
  std::vector<Sample> reals;
  std::map<std::string, std::vector<Sample>> fakes;
  for (size_t i = 0; i < samples.size(); ++i) {
    if (!samples[i].fake) reals.push_back(samples[i]);
    if (samples[i].fake && !painters[i].empty()) fakes[painters[i]].push_back(samples[i]);
  }
  std::vector<PainterScores> scores;
  for (auto& [painter, among] : fakes) {
    const auto count = int64_t(among.size());
    among.insert(among.end(), reals.begin(), reals.end());
    const Evaluation e = evaluate(among, threshold);
    scores.push_back({painter, count, e.confusion.recall(), e.auc, e.localisation.mean_iou});
  }
  return scores;
}

}  // namespace telltale
