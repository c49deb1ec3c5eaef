#include "losses/bce.h"
#include "losses/pixel_loss.h"

namespace telltale {
namespace {

/// Mean binary cross-entropy of a map's logits; `positive` weighs painted pixels, which are the fewer.
struct PixelBce {
  static constexpr const char* about = "binary cross-entropy of each pixel, its mean; painted pixels weigh `positive`";
  static constexpr int sums = 1;
  double positive = 1;
  static constexpr Setting<PixelBce> settings[] = {{"positive", &PixelBce::positive, 0, 1e6}};
  template <class V, class T>
  TT_HD void add(const V& x, T t, V* s) const {
    // t·positive·softplus(−x) + (1 − t)·softplus(x)
    s[0] += T(positive) * t * bce_with_logits(x, T(1)) + (1 - t) * bce_with_logits(x, T(0));
  }
  template <class V, class T>
  TT_HD V value(const V* s, T pixels) const {
    return s[0] / pixels;
  }
};

const RegisterPixelLoss registered(pixel_loss_entry<PixelBce>("bce"));

}  // namespace
}  // namespace telltale
