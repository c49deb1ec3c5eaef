// The table of generators.
#include "nets/nets.h"

namespace telltale {

const std::vector<GeneratorNet>& generator_nets() {
  static const std::vector<GeneratorNet> nets = {
      {"csqiangwen", deepfill_v2, 0, "coarse.0.conv2d.weight", 2, {"coarse.16", "refine_combine.6"}},
      {"official",
       [](Graph& g, Value image, Value mask, int width, const HoleWindow& window) {
         return deepfill_v2_official(g, image, mask, width, OfficialForm::tensorflow, window);
       },
       -1,
       "conv1.conv.weight",
       4,
       {"conv17", "allconv17"}},
      {"official_torch",
       [](Graph& g, Value image, Value mask, int width, const HoleWindow& window) {
         return deepfill_v2_official(g, image, mask, width, OfficialForm::torch, window);
       },
       -1,
       "stage1.conv1.conv.weight",
       4,
       {"stage1.conv_to_rgb", "stage2.conv_to_rgb"}}};
  return nets;
}

const GeneratorNet& generator_net(const std::string& name) {
  std::string known;
  for (const GeneratorNet& n : generator_nets()) {
    if (name == n.name) return n;
    known += known.empty() ? n.name : cat(", ", n.name);
  }
  throw UsageError(cat("unknown generator \"", name, "\": choose one of ", known));
}

}  // namespace telltale
