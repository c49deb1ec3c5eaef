#include "losses/bce.h"
#include "losses/pixel_loss.h"

namespace telltale {
namespace {

/// Mean over a map of w·BCE, w = 1 + strength·exp(−d²/(2·sigma²)): d is the distance, in pixels of the map, to the
/// nearest pixel of the other label, looked for within 3·sigma; beyond, w is 1. The weight map of Ronneberger 2015
/// ("U-Net", eq. 2) for a single border and without its balance of classes.
struct PixelBoundary {
  static constexpr const char* about =
      "cross-entropy of each pixel, weighted up near the painted region's border (after Ronneberger 2015)";
  static constexpr int sums = 1;
  double strength = 10, sigma = 2;
  static constexpr Setting<PixelBoundary> settings[] = {{"strength", &PixelBoundary::strength, 0, 1e6},
                                                        {"sigma", &PixelBoundary::sigma, 0.5, 16}};
  template <class T>
  TT_HD T weight(const T* labels, int height, int width, int y, int x) const {
    const bool own = PixelCalls<T>::painted(labels[int64_t(y) * width + x]);
    const int reach = int(3 * sigma);
    const int beyond = reach * reach + 1;  // squared distances are whole numbers
    int nearest = beyond;
    for (int dy = 0; dy <= reach && dy * dy < nearest; ++dy)
      for (int side = -1; side <= 1; side += 2) {  // rows above and below, the closest first
        const int row = y + side * dy;
        if (row < 0 || row >= height) continue;
        for (int dx = 0; dx * dx + dy * dy < nearest; ++dx) {
          const T* at = labels + int64_t(row) * width + x;
          if ((x >= dx && PixelCalls<T>::painted(at[-dx]) != own) ||
              (x + dx < width && PixelCalls<T>::painted(at[dx]) != own))
            nearest = dx * dx + dy * dy;
        }
      }
    if (nearest == beyond) return 1;
    return 1 + T(strength) * exp(-T(nearest) / T(2 * sigma * sigma));
  }
  template <class V, class T>
  TT_HD void add(const V& x, T t, T weight, V* s) const {
    s[0] += weight * bce_with_logits(x, t);
  }
  template <class V, class T>
  TT_HD V value(const V* s, T pixels) const {
    return s[0] / pixels;
  }
};

const RegisterPixelLoss registered(pixel_loss_entry<PixelBoundary>("boundary"));

}  // namespace
}  // namespace telltale
