#pragma once
// Spectral normalisation (Miyato et al. 2018, alg. 1, in the form of torch.nn.utils.spectral_norm): a filter divided by
// an estimate of its largest singular value.
#include "kernels/device/dispatch.h"

namespace telltale {

/// W is w as a K × R·S·C matrix; all tensors but y are of one type, f32 or f64.
struct SpectralNormArgs {
  Tensor w;      ///< {K,R,S,C}
  Tensor u, v;   ///< {1,1,1,K} and {1,R,S,C}: unit vectors near W's first singular pair, carried from step to step
  Tensor sigma;  ///< {1,1,1,1}, assigned: uᵀWv
  Tensor y;      ///< {K,R,S,C}, any floating type whose accumulator is w's, assigned: w/σ
  bool iterate = true;  ///< first v ← Wᵀu and u ← Wv, each divided by its length (at least 1e-12)
};
/// What flows back to w when u and v count as constants: dw = (dy − (Σ dy·w/σ)·u vᵀ)/σ.
struct SpectralNormGradArgs {
  Tensor w, u, v, sigma;  ///< as forward left them
  Tensor dy, dw;          ///< {K,R,S,C}, w's type
  GradMode dw_mode = GradMode::overwrite;
};

/// Throw ShapeError where shapes or types disagree, naming the tensor. Every twin calls these first.
void check(const SpectralNormArgs&);
void check(const SpectralNormGradArgs&);

namespace cpu {
void spectral_norm_forward(Stream&, const SpectralNormArgs&);
void spectral_norm_backward(Stream&, const SpectralNormGradArgs&);
}  // namespace cpu
namespace cuda {
void spectral_norm_forward(Stream&, const SpectralNormArgs&);
void spectral_norm_backward(Stream&, const SpectralNormGradArgs&);
}  // namespace cuda

inline void spectral_norm_forward(Stream& s, const SpectralNormArgs& a) { TT_DISPATCH(s, spectral_norm_forward(s, a)); }
inline void spectral_norm_backward(Stream& s, const SpectralNormGradArgs& a) {
  TT_DISPATCH(s, spectral_norm_backward(s, a));
}

}  // namespace telltale
