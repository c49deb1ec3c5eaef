#include "losses/sample_loss.h"

namespace telltale {

/// Mean over the four numbers of d²/2 where |d| < δ, else δ·(|d| − δ/2), with d = p − t (Huber 1964, "Robust estimation
/// of a location parameter"; as PyTorch's). It is δ times smooth L1 with β = δ.
struct Huber {
  static constexpr const char* about = "mean of d²/2 where |d| < delta, else delta·(|d| − delta/2) (Huber 1964)";
  static constexpr int pred = 4, target = 4;
  double delta = 1;
  static constexpr Setting<Huber> settings[] = {{"delta", &Huber::delta, 1e-6}};  // at 0 the loss would be 0
  template <class V, class T>
  TT_HD V value(const V* p, const T* t) const {
    V sum = T(0);
    for (int k = 0; k < 4; ++k) {
      const V d = p[k] - t[k], size = abs(d);
      sum += size < T(delta) ? d * d * T(0.5) : T(delta) * (size - T(delta) / 2);
    }
    return sum / T(4);
  }
  static void sample(Random& random, double* p, double* t, int i) { sample_numbers(random, p, t, i); }
};

TT_REGISTER_LOSS("huber", Huber);

}  // namespace telltale
