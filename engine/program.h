#pragma once
// A graph bound to one stream: planned, placed, with parameters, ready to run.
#include <functional>
#include <optional>

#include "engine/graph.h"
#include "engine/loss.h"
#include "engine/optimizer.h"
#include "engine/params.h"
#include "engine/plan.h"
#include "kernels/device/transfer.h"
#include "kernels/loss_scale.h"

namespace telltale {

struct Options {
  DType compute = DType::f32;  ///< f32, bf16, f16; f64 for gradient checks
  bool training = false;       ///< plan backward, keep gradients and moments
  bool fuse = true;
  /// Training: batch norms run inside the convolutions around them (ConvChain). None: in f16 on a GPU.
  std::optional<bool> chains = std::nullopt;
  /// A ResNet's first convolution runs over blocks of 2×2 pixels (Stem). None: on a GPU.
  std::optional<bool> stems = std::nullopt;
  bool input_gradients = false;  ///< also for the graph's inputs of compute type
  uint64_t seed = 0;             ///< of the parameters' initial values
  /// False, for a net that is loaded once and then only run: on the host, what the first run has packed or rounded into
  /// another form gives its memory back. params() throws from then on, on a GPU too, where nothing is given back.
  bool keep_parameters = true;
  /// For training in f16: the device scales the loss, skips steps whose gradients overflow, and follows with the scale;
  /// StepState's loss_scale and overflow are then the program's own.
  bool dynamic_loss_scale = false;
};

/// Shape of the terms that a loss writes for an output: Loss::terms() for each of its samples, or of its rows of
/// pixels.
inline Shape terms_shape(const Shape& pred, const Loss& loss) { return {pred.n * pred.h, 1, 1, loss.terms()}; }

/// Bytes on the device that a program takes. Libraries' workspaces come on top.
struct Footprint {
  size_t arena = 0, packed = 0, params = 0;
  size_t total() const { return arena + packed + params; }
};

/// The stream must outlive the program. Shapes are fixed; another batch size is another program.
class Program {
 public:
  /// Plans everything, allocates once. Throws ShapeError naming the layer that does not fit, DeviceError when memory
  /// runs out, saying what was planned and what is free.
  Program(const Graph&, Stream&, const Options&);
  /// What the constructor would allocate; allocates nothing of it.
  static Footprint footprint(const Graph&, Stream&, const Options&);

  /// An input or an output of the graph; throws ShapeError for values that fusion or the planner did away with.
  Tensor tensor(Value) const;
  /// Its gradient, valid just after backward; training programs only.
  Tensor gradient(Value) const;
  Stream& stream() const { return *stream_; }
  const Options& options() const { return options_; }

  /// Runs every layer. Call params_changed() after writing parameters from outside.
  void forward();
  /// An output that learns: its loss, and target and terms as Loss::eval has them.
  struct Head {
    Value pred;
    const Loss* loss = nullptr;
    Tensor target, terms;
  };
  /// One micro-batch: forward, each head's loss, backward. `accumulate` adds to the gradients of earlier micro-batches
  /// of this step. Outputs that are no head's have no gradient.
  void gradients(std::span<const Head> heads, bool accumulate);
  void gradients(Value pred, const Loss& loss, Tensor target, Tensor loss_out, bool accumulate) {
    const Head head{pred, &loss, target, loss_out};
    gradients({&head, 1}, accumulate);
  }
  /// Backward only, from a gradient the caller wrote to gradient(pred).
  void backward(bool accumulate);
  /// One optimiser step on the accumulated gradients.
  void update(const Optimizer&);
  /// Enqueues: work enqueued before still sees the old state.
  void set_state(const StepState&);
  StepState state() const;
  /// Only with dynamic_loss_scale. Both wait.
  LossScale loss_scale() const;
  void set_loss_scale(const LossScale&);

  /// Throws Error once a program without keep_parameters has run.
  Params& params() { return *kept_params(); }
  const Params& params() const { return *kept_params(); }
  void params_changed() {
    kept_params();
    prepared_ = false;
  }

  size_t arena_bytes() const { return arena_.size(); }
  /// Activations' arena + parameters + packed constants.
  size_t total_bytes() const { return arena_.size() + packed_.size() + params_->bytes(); }
  /// Fills what derives from the parameters, if they changed. forward() does so by itself; a replayed one does not.
  void make_ready() {
    if (!prepared_) prepare();
  }
  /// One line per layer: index, name, what it is, output shape.
  std::string summary() const;

  struct Step {
    int node;
    bool backward;
  };
  /// Called after each node ran, with its name and tensors: check mode and profiles are built on it.
  using Observer = std::function<void(Step, const Layer&, const Io&)>;
  void observe(Observer o) { observer_ = std::move(o); }

 private:
  struct Bound {  // one node with everything placed
    Spec spec;
    std::vector<Tensor> x, w, saved, dx, dw;
    std::vector<GradMode> dx_mode, dw_first, dw_more;
    Tensor y, dy, packed, scratch, backward_scratch;
    bool backward = false, frozen = false;
  };
  Program(const Graph& fused, Stream& stream, const Options& options, std::nullptr_t);  // nothing planned yet
  static Graph fused(const Graph&, const Stream&, const Options&);
  struct Layout;  // where each tensor lies in the arena
  void plan();
  std::vector<Shape> infer_shapes(std::vector<std::pair<ParamSpec, bool>>& params);
  Layout lay_out(const std::vector<Shape>& shapes);
  /// Whether nothing but its lifetime keeps y from lying where this input lies.
  static bool can_replace(const Graph::Node&, int input, const Layout&, const std::vector<Shape>& shapes);
  void bind(const std::vector<Shape>& shapes, const Layout&);
  size_t packed_bytes() const;
  void bind_params();
  void prepare();
  Params* kept_params() const;
  Io io(size_t node, bool accumulate) const;

  Graph graph_;
  Stream* stream_;
  Options options_;
  std::unique_ptr<Params> params_;
  std::vector<Bound> bound_;
  std::vector<Tensor> values_, gradients_;
  std::vector<bool> needs_gradient_;
  Buffer arena_, packed_, state_, loss_scale_;
  std::optional<Uploader> state_upload_;
  bool prepared_ = false;
  Observer observer_;
};

}  // namespace telltale
