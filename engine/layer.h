#pragma once
// What a layer promises the planner and the program. A layer is stateless: settings only, no tensors.
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "kernels/device/dispatch.h"

namespace telltale {

/// How a parameter starts when no file gives it.
struct Init {
  enum class Kind : uint8_t { zero, one, normal, uniform };
  Kind kind = Kind::zero;
  float scale = 0;  ///< standard deviation of normal, bound of uniform
};

/// A parameter or a running statistic that a layer owns.
struct ParamSpec {
  /// Names in a state_dict, "layer1.0.conv1.weight". Several names: equal parts along the first axis (along channels
  /// for a vector).
  std::vector<std::string> names;
  Shape shape;  ///< engine layout: filters {K,R,S,C}, linear {O,h,w,c}, vectors {1,1,1,C}
  Init init;
  bool trainable = true;  ///< false: a running statistic, or a counter
  bool keep_f32 =
      false;  ///< the layer reads it in accumulator type even when computing in 16 bits (biases, batch norm)
  bool is_linear = false;   ///< a state_dict holds it as [O, I], I running over c, h, w
  bool is_counter = false;  ///< one i64 scalar in a state_dict (num_batches_tracked)
};

/// A tensor that forward leaves for backward.
struct Slot {
  Shape shape;
  DType dtype;
};

/// What a layer may know while it plans.
struct PlanContext {
  Stream& stream;
  DType compute;  ///< of activations and filters
  bool training;  ///< the program will run backward
  bool frozen;    ///< the layer's parameters take no gradient and its statistics are constants
  bool backward;  ///< this layer's backward will run: its parameters or something upstream train
};

/// What a layer asks of the planner.
struct Spec {
  Shape y;
  std::vector<ParamSpec> params;
  std::vector<Slot> saved;      ///< live from forward to backward
  size_t packed = 0;            ///< bytes that prepare() fills from the parameters once (inference and frozen layers)
  uint32_t prepare_only = 0;    ///< bit k: on the host, where nothing trains, prepare() alone reads params[k]
  size_t scratch = 0;           ///< bytes needed only during forward
  size_t backward_scratch = 0;  ///< bytes needed only during backward
  uint32_t keep_x = 0;          ///< bit i: backward reads x[i]
  bool keep_y = false;          ///< backward reads y
  int inplace = -1;             ///< y may lie where x[inplace] lay, when nothing else needs that; -1: nowhere
};

/// What the program hands back, already placed. Pointers stay fixed for the program's life.
struct Io {
  std::span<const Tensor> x, w, saved;  ///< x and w in compute type (w: accumulator type where keep_f32)
  Tensor y, packed, scratch;            ///< scratch: of the pass that runs
  Tensor dy;                            ///< backward may overwrite it: nobody else reads it
  std::span<const Tensor> dx, dw;       ///< dx in compute type, dw in accumulator type
  std::span<const GradMode> dx_mode, dw_mode;
  const StepState* step = nullptr;  ///< on the stream's device
  bool training = false, frozen = false;
  uint32_t node = 0;  ///< position in the graph
};

class OnnxGraph;  // engine/onnx.h
struct OnnxNode;

/// An operation with parameters. Derive from LayerOf<Derived>.
class Layer {
 public:
  virtual ~Layer() = default;
  virtual std::unique_ptr<Layer> clone() const = 0;
  /// "Conv 64x3x3 stride 2": for errors and tables.
  virtual std::string describe() const = 0;
  /// Throws ShapeError naming the layer when x does not fit.
  virtual Spec plan(const PlanContext&, std::span<const Shape> x) const = 0;
  /// Fills io.packed from io.w, once after parameters change.
  virtual void prepare(Stream&, const Io&) const {}
  /// Enqueues only: no allocation, no waiting. Assigns y.
  virtual void forward(Stream&, const Io&) const = 0;
  /// Obeys dx_mode and dw_mode. The default is for layers that only run forward.
  virtual void backward(Stream&, const Io&) const;
  /// A layer that computes next(…, this(x), …), this being next's input `position`, its inputs ours then next's others
  /// in order; or null. `constant`: both layers run as constants (inference, or frozen with nothing upstream that
  /// trains).
  virtual std::unique_ptr<Layer> absorb(const Layer& next, int position, bool constant) const;

  /// Adds what the layer computes outside training, in ONNX's operators. The default throws Error, naming the layer.
  virtual void to_onnx(OnnxGraph&, const OnnxNode&) const;

  std::string name;  ///< "layer1.0.conv1", set by Graph::add
};

/// Gives a layer its clone().
template <class D>
class LayerOf : public Layer {
 public:
  std::unique_ptr<Layer> clone() const override { return std::make_unique<D>(static_cast<const D&>(*this)); }
};

}  // namespace telltale
