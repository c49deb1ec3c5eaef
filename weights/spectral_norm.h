#pragma once
// Spectral norm (Miyato et al. 2018) taken out of a state_dict: filters divided once by their largest singular value.
#include <string>

#include "weights/state_dict.h"

namespace telltale {

/// Where the divisor σ comes from.
enum class SpectralNorm : uint8_t {
  one_step,  ///< v ← Wᵀu, u ← Wv (normalised), σ = uᵀWv from the stored u: what PyTorch's forward computes
  folded,    ///< the largest singular value itself
};
/// "one_step" or "folded"; throws UsageError otherwise.
SpectralNorm spectral_norm_of(const std::string& name);

/// Replaces every group X.module.{weight_bar, weight_u, weight_v, bias} by X.weight = weight_bar/σ and X.bias; W is the
/// filter as a K × C·R·S matrix. Other tensors pass. Computed in double when read. Throws DataError naming a group
/// that is not whole.
StateDict fold_spectral_norm(const StateDict& dict, SpectralNorm how);

/// Largest singular value of a row-major rows × columns matrix, exact to rounding.
double largest_singular_value(const std::vector<double>& matrix, size_t rows, size_t columns);

}  // namespace telltale
