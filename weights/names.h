#pragma once
// Between a net's parameters (NHWC, fused where the engine likes it) and a state_dict (torchvision's names and
// layouts).
#include <string>
#include <vector>

#include "engine/params.h"
#include "weights/state_dict.h"

namespace telltale {

/// Shape in a state_dict of one of spec.names: filter {K,R,S,C} → [K,C,R,S]; linear {O,h,w,c} → [O, c·h·w] (features
/// flattened over c, h, w, as torch does; ours over h, w, c); vector {1,1,1,C} → [C]; counter → []. A parameter of
/// several names has equal parts. Throws ShapeError when they do not come out equal.
std::vector<int64_t> state_dict_shape(const ParamSpec& spec);
/// Whether a file's tensor of shape `theirs` serves where a net wants `ours`. PyTorch 0.3 had no scalars: its counters
/// have one axis of length 1.
bool fits(const std::vector<int64_t>& theirs, const std::vector<int64_t>& ours);
/// Fills a tensor in spec's layout (a parameter's value, or a moment; f32 or f64) from its parts, one for each of
/// spec.names; null is zeros. Elements go from where their file is mapped to their places in one pass, rounded only
/// where the tensor's type is narrower. Waits for the stream. Throws ShapeError when a part is not of
/// state_dict_shape's size.
void assign(Stream&, const ParamSpec&, Tensor to, const std::vector<const StateTensor*>& parts);
/// The reverse, of values in spec's layout: one vector for each of spec.names.
std::vector<std::vector<double>> to_state_dict(const ParamSpec& spec, const std::vector<double>& values);

/// What a net took from a file.
struct LoadReport {
  int loaded = 0;                  ///< tensors read
  std::vector<std::string> fresh;  ///< tensors that kept their initial values
};
/// Fills a net from a file. A head ("fc", "classifier.6"; "" for none) whose tensors differ from the file's in the
/// number of outputs alone keeps its values; counters (num_batches_tracked) may be scalars or [1], and
/// become 0 where a file from before PyTorch 0.4.1 lacks them. Otherwise throws DataError listing the first five
/// tensors that are missing, left over or of a wrong shape, and how many there are; then nothing was written. So does a
/// number that is not finite, naming its tensor. A wrapper's prefix (state_dict.h) is dropped, and said.
/// `encoder`: layers ("conv1", "layer1") that another net's file may fill. Of a file with no tensor of this net's other
/// layers they are taken alone, the rest of both is left.
LoadReport load_params(Stream&, Params&, const StateDict& from, const std::string& head = "",
                       const std::vector<std::string>& encoder = {});

/// Which numbers of a net to name.
enum class ParamPart : uint8_t { value, grad, first_moment, second_moment };
/// A net's numbers under `prefix` + their state_dict names, read from the device when asked for: stream and params must
/// outlive it. Parts other than `value` exist for trainable parameters only.
StateDict params_dict(Stream&, const Params&, ParamPart part = ParamPart::value, const std::string& prefix = "",
                      FileDType dtype = FileDType::f32);
/// The tensors whose names start with `prefix`, without it.
StateDict under_prefix(const StateDict& dict, const std::string& prefix);

}  // namespace telltale
