#pragma once
// Several of our operations as one of cuDNN's: whether it is worth it, found out on first use.
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "kernels/conv/cudnn/plan.h"
#include "kernels/device/buffer.h"
#include "kernels/device/stream.h"

namespace telltale::cudnn {

/// One operation on memory of its own results, so that running it often leaves nothing behind.
struct Trial {
  std::function<void(const ConvGraph&, const Plan&)> fused;
  std::function<void()> plain;
  std::vector<Tensor> results;
  std::vector<OwnedTensor> owned = {};
};

/// t, or noise of its shape where t holds but zeros and what is not finite, which two ways could not be told apart on:
/// in f16 the first steps' gradients overflow until the loss scale has come down.
Tensor to_try_on(Stream&, const Tensor& t, std::vector<OwnedTensor>& owned);

/// The plans of one stream, each chosen on its first use: from the user's cache, or by timing, also against the plain
/// form, which is remembered as an engine without a number. What comes from the cache is compared with the plain form
/// once, like everything else.
class FusedPlans {
 public:
  struct Entry {
    ConvGraph graph;
    Plan plan;
  };
  /// Null where the plain form shall run: cuDNN has no such operation, is slower, or its result is another. Up to
  /// `compiled` of the plans tried may be such as cuDNN compiles at run time.
  const Entry* find(Stream&, const ConvOp&, int compiled, const std::function<Trial()>&);

 private:
  struct Choice {
    std::optional<Entry> entry;
    int tries = 0;  ///< kTries once it stands
  };
  std::optional<Entry> choose(Stream&, const ConvOp&, int compiled, const std::function<Trial()>&);

  std::optional<Target> target_;
  std::optional<PlanFile> file_;
  std::map<std::string, Choice> choices_;
};

}  // namespace telltale::cudnn
