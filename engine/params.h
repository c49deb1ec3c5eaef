#pragma once
// A program's parameters: one flat arena of masters in backward order, so that the optimiser and an all-reduce see five
// tensors.
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "engine/layer.h"
#include "kernels/device/buffer.h"

namespace telltale {

/// The trainable parameters, flat: {1,1,1,count} each. shadow is absent unless computing in 16 bits; grad, m, v unless
/// training.
struct ParamArena {
  Tensor master, grad, shadow, m, v;
  int64_t count = 0;
};

/// One parameter or statistic as it lies in memory.
struct Param {
  ParamSpec spec;
  bool trainable = false;  ///< in the arena: it has a gradient and moments
  int64_t offset = 0;      ///< elements into the arena (trainable), or into the constants
  Tensor value;            ///< accumulator type, spec.shape
  Tensor shadow;           ///< compute type, where the layer reads that
  Tensor grad, m, v;       ///< trainable only
};

class Graph;
/// What parameters and statistics a net has, in forward order, without placing them anywhere. Throws ShapeError naming
/// the layer that does not fit its input.
std::vector<ParamSpec> parameter_specs(const Graph&, Stream&);

/// Every parameter of a net on one device.
class Params {
 public:
  /// specs in forward order with "trains" flags; allocates and initialises each by its own generator keyed (seed, its
  /// name).
  Params(Stream&, const std::vector<std::pair<ParamSpec, bool>>& specs, DType compute, bool training, uint64_t seed);
  /// What bytes() of the same would be.
  static size_t bytes_for(const std::vector<std::pair<ParamSpec, bool>>& specs, DType compute, bool training);
  const std::vector<Param>& all() const { return all_; }
  const Param* find(const std::string& name) const;  ///< by its first name; null when absent
  ParamArena arena() const { return arena_; }
  /// Host values of one parameter (any floating type, as double), in engine layout.
  std::vector<double> read(Stream&, const Param&) const;
  void write(Stream&, const Param&, const std::vector<double>&);
  /// Copies every value whose name and shape match; throws ShapeError naming the first of ours that `from` lacks.
  void copy_from(Stream&, const Params& from);
  size_t bytes() const {
    return trainable_.size() + grad_.size() + m_.size() + v_.size() + shadow_.size() + constant_.size() +
           constant_shadow_.size();
  }

 private:
  std::vector<Param> all_;
  std::map<std::string, size_t> by_name_;
  Buffer trainable_, grad_, m_, v_, shadow_, constant_, constant_shadow_;
  ParamArena arena_;
};

}  // namespace telltale
