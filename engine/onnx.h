#pragma once
// A graph of layers in ONNX's terms: operators of opset 17 over tensors {N,C,H,W}, as its layers put it.
#include <initializer_list>
#include <map>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/protobuf.h"
#include "engine/layer.h"
#include "kernels/conv/conv.h"

namespace telltale {

/// Element types that are used there, by onnx.proto's numbers (TensorProto.DataType).
enum class OnnxType : int64_t { f32 = 1, u8 = 2, i64 = 7, f16 = 10 };

/// Operators and constants in the order they are added. Values are known by name, as ONNX has it.
class OnnxGraph {
 public:
  static constexpr int kOpset = 17;
  using Attribute = std::pair<const char*, std::variant<int64_t, float, std::string, std::vector<int64_t>>>;
  using Attributes = std::initializer_list<Attribute>;
  /// Of a value at the graph's edge: a number, or the name of one that whoever runs it chooses.
  using Dimension = std::variant<int64_t, std::string>;

  /// half: weights, constants and what is computed are f16.
  explicit OnnxGraph(bool half) : half_(half) {}

  /// The values at the edge.
  void input(const std::string& name, OnnxType type, const std::vector<Dimension>& dims) { edge(11, name, type, dims); }
  void output(const std::string& name, OnnxType type, const std::vector<Dimension>& dims) {
    edge(12, name, type, dims);
  }

  /// An operator of one result; returns its name, which is `y` or one found for it.
  std::string add(const char* op, const std::vector<std::string>& x, Attributes attributes = {}, std::string y = "");
  /// Constants; numbers as f16 in a half graph. Returns its name, which is `name` or one found for it.
  std::string constant(std::vector<int64_t> dims, const std::vector<float>& values, std::string name = "");
  std::string constant(float value) { return constant({}, {value}); }
  std::string integers(const std::vector<int64_t>& values);
  /// The same as f32 always.
  std::string constant_f32(std::vector<int64_t> dims, const std::vector<float>& values, std::string name = "");

  /// Joins of what layers use often.
  std::string reshape(const std::string& x, const std::vector<int64_t>& dims) {
    return add("Reshape", {x, integers(dims)});
  }
  /// Every step-th place of [begin, end) along axis; `end` may be kEnd.
  static constexpr int64_t kEnd = INT64_MAX;
  std::string slice(const std::string& x, int64_t axis, int64_t begin, int64_t end, int64_t step = 1);
  /// x {N,C,H,W}, planned as x_shape, shrunk by a whole factor as kernels/resample.h's nearest, or nearest_aligned.
  std::string shrunk(const std::string& x, const Shape& x_shape, int factor, bool aligned, std::string y = "");
  std::string cast(const std::string& x, OnnxType type, std::string y = "");
  /// act(x) as `y`; with Act::none an Identity.
  std::string activation(const std::string& x, Act act, const std::string& y);
  /// conv(x, w) + bias; no bias where its name is empty. The filter is size × size.
  std::string convolution(const std::string& x, const std::string& w, const std::string& bias, int size,
                          const ConvGeometry&, std::string y = "");

  OnnxType compute() const { return half_ ? OnnxType::f16 : OnnxType::f32; }
  /// A layer says so whose operators hold for the planned height and width alone.
  void needs_fixed_size() { fixed_size_ = true; }
  bool fixed_size() const { return fixed_size_; }
  /// ModelProto's bytes (onnx.proto): a file's content.
  std::string model(const std::string& name, const std::map<std::string, std::string>& metadata) const;

 private:
  std::string fresh(const std::string& stem);
  std::string tensor(std::vector<int64_t> dims, OnnxType type, const std::string& raw, std::string name);
  void edge(int field, const std::string& name, OnnxType type, const std::vector<Dimension>& dims);

  bool half_, fixed_size_ = false;
  std::set<std::string> names_;
  std::map<std::string, std::string> known_;  ///< small constants by content: each stands once
  ProtoMessage graph_;
};

/// What a layer knows of itself while it is put into ONNX's terms.
struct OnnxNode {
  std::span<const std::string> x;  ///< its inputs' names; bytes of pictures are {N,H,W,3}, all else is {N,C,H,W}
  std::string y;                   ///< the name its result must get, {N,C,H,W}
  std::span<const Shape> x_shape;  ///< as planned; n stands for any number
  Shape y_shape;
  /// Names of its parameters as a state_dict has them, by Spec::params; counters have none.
  std::vector<std::vector<std::string>> w;
};

}  // namespace telltale
