#pragma once
// Which net a state_dict is.
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "weights/spectral_norm.h"
#include "weights/state_dict.h"

namespace telltale {

/// How a family of nets is told, and what a member of it holds.
struct NetFamily {
  std::string name;   ///< "resnet18", "official"
  std::string first;  ///< the filter whose outputs tell the width
  std::string head;   ///< the layer that may have any number of outputs; "" for none
  /// Every tensor of the member with so many outputs of `first` and of the head; 0 where the file does not say. A
  /// scalar is a counter, which a file may lack. Any numbers may come in.
  std::function<std::vector<TensorInfo>(int64_t first_outputs, int64_t head_outputs)> tensors;
};

struct NetIdentity {
  std::string family;
  int64_t width = 0;           ///< outputs of the family's first filter
  int64_t outputs = 0;         ///< of the head; 0 where there is none
  bool spectral_norm = false;  ///< still in the file: W, u and v apart
};

/// What a net reads of a file: names without "module.", spectral norm taken out, and without official's
/// contextual_attention.fuse_weight, which is no parameter. Throws DataError when that is not the 3×3 identity, or a
/// spectral norm is not whole.
StateDict net_parameters(const StateDict& dict, SpectralNorm how = SpectralNorm::folded);

/// The family whose tensors these are, all of them and no others, by name and shape. Otherwise throws DataError naming
/// the family that comes closest and up to 20 tensors that are missing, left over or of a wrong shape.
NetIdentity identify(const StateDict& dict, std::span<const NetFamily> families);

}  // namespace telltale
