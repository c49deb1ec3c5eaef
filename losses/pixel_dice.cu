#include "losses/bce.h"
#include "losses/pixel_loss.h"

namespace telltale {
namespace {

/// 1 − (2·Σpt + smooth)/(Σp + Σt + smooth) of a map's probabilities p (Milletari 2016, "V-Net", without its squares),
/// beside `bce` times the mean cross-entropy, which says where to go while nothing overlaps.
struct PixelDice {
  static constexpr const char* about = "1 − Dice overlap of a map, plus bce × cross-entropy (Milletari 2016)";
  static constexpr int sums = 4;
  double smooth = 1, bce = 1;
  static constexpr Setting<PixelDice> settings[] = {{"smooth", &PixelDice::smooth, 1e-9, 1e9},
                                                    {"bce", &PixelDice::bce, 0, 1e6}};
  template <class V, class T>
  TT_HD void add(const V& x, T t, V* s) const {
    const V p = sigmoid(x);
    s[0] += p * t;
    s[1] += p;
    s[2] += V(t);
    s[3] += bce_with_logits(x, t);
  }
  template <class V, class T>
  TT_HD V value(const V* s, T pixels) const {
    const V overlap = (T(2) * s[0] + T(smooth)) / (s[1] + s[2] + T(smooth));
    return T(1) - overlap + T(bce) * s[3] / pixels;
  }
};

const RegisterPixelLoss registered(pixel_loss_entry<PixelDice>("dice"));

}  // namespace
}  // namespace telltale
