// What the four detectors share: the table of them, and width scaling.
#include "nets/build.h"
#include "nets/nets.h"

namespace telltale {

const std::vector<DetectorNet>& detector_nets() {
  static const std::vector<DetectorNet> nets = {{"alexnet", alexnet, "features.0.weight", "classifier.6"},
                                                {"vgg11", vgg11, "features.0.weight", "classifier.6"},
                                                {"resnet18", resnet18, "conv1.weight", "fc"},
                                                {"resnet50", resnet50, "conv1.weight", "fc"}};
  return nets;
}

const DetectorNet& detector_net(const std::string& name) {
  std::string known;
  for (const DetectorNet& n : detector_nets()) {
    if (name == n.name) return n;
    known += known.empty() ? n.name : cat(", ", n.name);
  }
  throw UsageError(cat("unknown net \"", name, "\": choose one of ", known));
}

}  // namespace telltale
