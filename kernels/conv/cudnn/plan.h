#pragma once
// A convolution as cuDNN's graph, and the plans that can run it.
#include <deque>

#include "kernels/conv/cudnn/operation.h"
#include "kernels/conv/cudnn/plan_file.h"
#include "kernels/device/cudnn_graph.h"

namespace telltale::cudnn {

struct Plan {
  Engine engine;
  size_t workspace = 0;   ///< bytes
  bool compiles = false;  ///< at run time: seconds for each plan, and a driver is needed
  bool fallback = false;  ///< of the list for what the heuristics have nothing for: it always runs, and slowly
  Descriptor config, plan;
};

/// Memory of one run: forward reads x and w and writes y; input_grad reads y (as dy) and w and writes x (as dx);
/// filter_grad reads x and y and writes w (as dw).
struct ConvPointers {
  void *x = nullptr, *w = nullptr, *y = nullptr, *bias = nullptr, *residual = nullptr, *gate = nullptr;
  void *scale = nullptr, *shift = nullptr;  ///< of a norm that forward or filter_grad applies, in f16
  void *sum = nullptr, *squares = nullptr;  ///< written, in f32
  /// A norm that input_grad goes back through: its input, and vectors of f32.
  void *norm_x = nullptr, *mean = nullptr, *rstd = nullptr, *gamma = nullptr, *beta = nullptr;
  void *dgamma = nullptr, *dbeta = nullptr;  ///< written, in f32
  void* spare = nullptr;                     ///< three vectors of f32 that cuDNN writes and nobody reads
};

/// Configurations of one engine among an operation's candidates.
constexpr int kPerEngine = 3;

/// An operation bound to a target. Throws DeviceError when cuDNN has no such operation.
class ConvGraph {
 public:
  ConvGraph(const ConvOp&, const Target&);
  /// Up to `most` plans in the order cuDNN's heuristics prefer. All give the same bits on every run, keep the operands'
  /// precision (but for tf32), sum in f32 and need at most `workspace` bytes; of those compiled at run time at most
  /// `compiled`, since each takes a second to make; of one engine at most kPerEngine, so that others are heard. Empty
  /// when cuDNN has none.
  std::vector<Plan> candidates(int most, size_t workspace, int compiled) const;
  /// How many configurations the heuristics named that candidates() would look at, whether or not they can be built
  /// without a driver.
  int configurations(bool compiled) const;
  /// The plan of one engine, or none where this target refuses it.
  std::optional<Plan> plan(const Engine&) const;
  /// The same of what a file remembers, if it does; nothing, too, where cuDNN does not know its engine or knobs.
  std::optional<Plan> remembered(const std::optional<Engine>&) const;
  /// Enqueues on the target's stream; throws DeviceError with cuDNN's words.
  void run(const Plan&, const ConvPointers&, void* workspace) const;

 private:
  const Descriptor& keep(Descriptor d) { return parts_.emplace_back(std::move(d)); }
  /// A value of f32 that stays inside the operation.
  const Descriptor& between(const Shape&);
  /// A vector of x's channels, or of another count.
  const Descriptor& vector(int64_t uid, cudnnDataType_t, int channels = 0);
  void append(cudnnPointwiseMode_t, const Descriptor& x, const Descriptor* other, const Descriptor& y);
  const Descriptor& normalised(const Descriptor& x);
  void append_sums(const Descriptor& y);
  void append_norm_gradient(const Descriptor& dy, const Descriptor& dx);
  std::vector<Descriptor> configurations_by(cudnnBackendHeurMode_t) const;
  std::optional<Plan> build(Descriptor config) const;
  const ConvOp op_;
  const Target* target_;
  int64_t uid_between_;
  std::deque<Descriptor> parts_;  ///< what the operations refer to
  std::vector<Descriptor> operations_;
  Descriptor graph_;
};

}  // namespace telltale::cudnn
