#include "nets/build.h"
#include "nets/locator.h"

namespace telltale {

Value resnet18_locator(Graph& g, Value x, int width) {
  constexpr int kImageNet = 64, kStages = 3;
  const std::vector<Value> seen = resnet18_features(g, x, kStages, double(width) / kImageNet);
  const Value quarter = join(g, "dec4", seen[kStages], seen[1], width);
  return logit_head(g, "head", join(g, "dec2", quarter, seen[0], std::max(8, width / 2)));
}

}  // namespace telltale
