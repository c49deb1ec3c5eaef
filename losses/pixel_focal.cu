#include "losses/bce.h"
#include "losses/pixel_loss.h"

namespace telltale {
namespace {

/// Mean over a map of a_t·(1 − p_t)^γ·BCE (Lin 2017, eq. 5), a_t = balance for painted pixels and 1 − balance for
/// others.
struct PixelFocal {
  static constexpr const char* about = "focal loss of each pixel, its mean: sure pixels count little (Lin 2017)";
  static constexpr int sums = 1;
  double gamma = 2, balance = 0.25;
  static constexpr Setting<PixelFocal> settings[] = {{"gamma", &PixelFocal::gamma, 0, 16},
                                                     {"balance", &PixelFocal::balance, 0, 1}};
  template <class V, class T>
  TT_HD void add(const V& x, T t, V* s) const {
    const T a = T(balance) * t + T(1 - balance) * (1 - t);
    const V missed = t * sigmoid(-x) + (1 - t) * sigmoid(x);  // 1 − p_t, exact where p_t is nearly 1
    s[0] += a * pow(missed, T(gamma)) * bce_with_logits(x, t);
  }
  template <class V, class T>
  TT_HD V value(const V* s, T pixels) const {
    return s[0] / pixels;
  }
};

const RegisterPixelLoss registered(pixel_loss_entry<PixelFocal>("focal"));

}  // namespace
}  // namespace telltale
