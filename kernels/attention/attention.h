#pragma once
// Contextual attention (Yu et al. 2018, "Generative image inpainting with contextual attention", §3; the form of
// DeepFillv2): each feature inside the hole is rebuilt from the patches outside that match it best.
#include "kernels/device/dispatch.h"

namespace telltale {

/// The nets that published weights belong to each change a little of it; the defaults are csqiangwen's.
struct AttentionForm {
  bool fused = true;     ///< false: scores go into the softmax as they are
  bool clamped = false;  ///< patches are divided by max(|p_l|, 1e-4) instead
  bool aligned = false;  ///< shrinking aligns the corners: of h it takes pixel 2i, and 2i + 1 from the middle on
};

/// With h = H/rate, w = W/rate, L = h·w, per sample: f = nearest-shrunk x (h×w×C); patches p_l = 3×3×C around each of
/// the L places (zero padding); score[l, q] = <p_l / sqrt(Σ(p_l² + 1e-4)), p_q>; fused twice with a 3×3 identity over
/// (l, q), the second time with rows and columns swapped in both; valid_l = 1 where the 3×3 patch of the shrunk mask is
/// all 0; a[l, q] = softmax_l(scale · score · valid) · valid; y = Σ_l a[l, q] · (4×4×C raw patch of x at stride 2 from
/// l, zero padding, odd pixel at the bottom and right) pasted at q with overlap, / 4.
struct AttentionArgs {
  Tensor x;        ///< {N,H,W,C}; H, W multiples of rate
  Tensor mask;     ///< {N,H,W,1} of x's type, 1 in the hole; each sample uses its own
  Tensor y;        ///< x's shape and type, assigned
  Tensor scratch;  ///< attention_scratch_bytes, u8
  int rate = 2;    ///< only 2 is implemented: raw patches of 2·rate at stride rate
  float scale = 10;
  AttentionForm form = {};
};

/// dx through everything: the raw patches, the softmax, both fuses, and both sides of the match with its norm. The
/// mask takes no gradient.
struct AttentionGradArgs {
  Tensor x, mask, dy;  ///< as in forward; dy of x's shape and type
  Tensor dx;           ///< x's shape and type, as mode says
  Tensor scratch;      ///< attention_backward_scratch_bytes, u8
  int rate = 2;
  float scale = 10;
  AttentionForm form = {};
  GradMode dx_mode = GradMode::overwrite;
};

/// Throw ShapeError unless the tensors fit one another and scratch holds that many bytes.
void check(const AttentionArgs&, size_t scratch_bytes);
void check(const AttentionGradArgs&, size_t scratch_bytes);

namespace cpu {
void attention_forward(Stream&, const AttentionArgs&);
void attention_backward(Stream&, const AttentionGradArgs&);
size_t attention_scratch_bytes(const Shape& x, DType dtype);
size_t attention_backward_scratch_bytes(const Shape& x, DType dtype);
}  // namespace cpu
namespace cuda {
void attention_forward(Stream&, const AttentionArgs&);
void attention_backward(Stream&, const AttentionGradArgs&);
size_t attention_scratch_bytes(const Shape& x, DType dtype);
size_t attention_backward_scratch_bytes(const Shape& x, DType dtype);
}  // namespace cuda

inline void attention_forward(Stream& s, const AttentionArgs& a) { TT_DISPATCH(s, attention_forward(s, a)); }
inline void attention_backward(Stream& s, const AttentionGradArgs& a) { TT_DISPATCH(s, attention_backward(s, a)); }
inline size_t attention_scratch_bytes(Stream& s, const Shape& x, DType dtype) {
  return TT_DISPATCH(s, attention_scratch_bytes(x, dtype));
}
inline size_t attention_backward_scratch_bytes(Stream& s, const Shape& x, DType dtype) {
  return TT_DISPATCH(s, attention_backward_scratch_bytes(x, dtype));
}

}  // namespace telltale
