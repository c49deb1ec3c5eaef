#pragma once
// The operations of a graph by their definitions, in f32, one whole tensor after another.
#include <map>
#include <optional>
#include <vector>

#include "tests/fake_gpu/cudnn_descriptor.h"
#include "tests/fake_gpu/numbers.h"

namespace telltale::fake_gpu {

/// NHWC, without gaps.
struct GraphTensor {
  int64_t uid = 0, n = 1, h = 1, w = 1, c = 1, alignment = 1;
  Type type = Type::f32;
  bool is_virtual = false;
  int64_t numel() const { return n * h * w * c; }
  size_t bytes() const { return size_t(numel()) * size_of(type); }
};

struct GraphOperation {
  cudnnBackendDescriptorType_t type{};
  cudnnPointwiseMode_t mode{};
  std::vector<int64_t> in, out;  ///< uids
  int64_t stride = 1, pad = 0, dilation = 1;
  float beta = 0;
};

struct OperationGraph {
  std::map<int64_t, GraphTensor> tensors;
  std::vector<GraphOperation> operations;
};

/// Nothing where an operation, a layout or a type is none that is known here, or a value is read before it is there.
std::optional<OperationGraph> graph_of(const Node& graph);

/// Computes on the memory of what is not virtual. `tf32`: convolutions' operands are rounded to 10 bits of mantissa.
void compute(const OperationGraph&, const std::map<int64_t, void*>& memory, bool tf32);

}  // namespace telltale::fake_gpu
