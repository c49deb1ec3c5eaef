#pragma once
// Adam (Kingma & Ba 2015, alg. 1, in PyTorch's form) over flat buffers: one pass for a whole net.
#include "kernels/device/dispatch.h"

namespace telltale {

struct AdamArgs {
  Tensor master, grad, m, v;  ///< {1,1,1,n} each, f32 (f64 in f64 programs)
  Tensor shadow;              ///< optional, 16-bit copy of master in compute precision, refreshed here
  int64_t count = 0;          ///< elements
  double beta1 = 0.9, beta2 = 0.999, eps = 1e-8, weight_decay = 0;
  const StepState* state =
      nullptr;  ///< on the stream's device: step t ≥ 1, lr, loss_scale; nothing happens when overflow is set
};
/// g = grad/loss_scale (+ weight_decay·w); m ← β1·m + (1−β1)·g; v ← β2·v + (1−β2)·g²; w ← w − lr·m̂/(√v/√(1−β2ᵗ) + eps).
void adam(Stream&, const AdamArgs&);

}  // namespace telltale
