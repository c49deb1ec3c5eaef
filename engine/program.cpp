// Running a planned program. Planning is in program_plan.cpp.
#include "engine/program.h"

#include "kernels/cast.h"

namespace telltale {

Program::Program(const Graph& graph, Stream& stream, const Options& options)
    : graph_(options.fuse ? graph.fused(options.training) : graph), stream_(&stream), options_(options) {
  plan();
  state_ = Buffer(stream.place(), sizeof(StepState));
  set_state({});
}

Tensor Program::tensor(Value v) const {
  TT_CHECK(v.id >= 0 && size_t(v.id) < values_.size() && values_[size_t(v.id)], ShapeError,
           "this value does not outlive the program's run: mark it with Graph::output");
  return values_[size_t(v.id)];
}

Tensor Program::gradient(Value v) const {
  TT_CHECK(v.id >= 0 && size_t(v.id) < gradients_.size() && gradients_[size_t(v.id)], ShapeError,
           "this value has no gradient: nothing upstream of it trains, or the program is for inference");
  return gradients_[size_t(v.id)];
}

Io Program::io(size_t node, bool accumulate) const {
  const Bound& b = bound_[node];
  Io io;
  io.x = b.x;
  io.w = b.w;
  io.saved = b.saved;
  io.y = b.y;
  io.packed = b.packed;
  io.scratch = b.scratch;
  io.dy = b.dy;
  io.dx = b.dx;
  io.dw = b.dw;
  io.dx_mode = b.dx_mode;
  io.dw_mode = accumulate ? b.dw_more : b.dw_first;
  io.step = static_cast<const StepState*>(state_.data());
  io.training = options_.training;
  io.frozen = b.frozen;
  io.node = uint32_t(node);
  return io;
}

void Program::prepare() {
  for (const Param& p : params_->all()) {
    if (p.shadow) cast(*stream_, p.value, p.shadow);
  }
  for (size_t i = 0; i < bound_.size(); ++i) {
    if (bound_[i].packed) graph_.nodes()[i].layer->prepare(*stream_, io(i, false));
  }
  prepared_ = true;
}

void Program::forward() {
  if (!prepared_) prepare();
  for (size_t i = 0; i < bound_.size(); ++i) {
    const Io run = io(i, false);
    graph_.nodes()[i].layer->forward(*stream_, run);
    if (observer_) observer_({int(i), false}, *graph_.nodes()[i].layer, run);
  }
}

void Program::gradients(Value pred, const Loss& loss, Tensor target, Tensor loss_out, bool accumulate) {
  forward();
  for (Value v : graph_.outputs()) {
    if (v.id != pred.id && gradients_[size_t(v.id)]) fill_zero(*stream_, gradients_[size_t(v.id)]);
  }
  loss.eval(*stream_, tensor(pred), target, loss_out, gradient(pred), static_cast<const StepState*>(state_.data()));
  backward(accumulate);
}

void Program::backward(bool accumulate) {
  TT_CHECK(options_.training, ShapeError, "backward: this program was planned for inference");
  for (size_t i = bound_.size(); i-- > 0;) {
    if (!bound_[i].backward) continue;
    Io run = io(i, accumulate);
    run.scratch = bound_[i].backward_scratch;
    graph_.nodes()[i].layer->backward(*stream_, run);
    if (observer_) observer_({int(i), true}, *graph_.nodes()[i].layer, run);
  }
}

void Program::update(const Optimizer& optimizer) {
  if (params_->arena().count > 0) {
    optimizer.step(*stream_, params_->arena(), static_cast<const StepState*>(state_.data()));
  }
}

void Program::set_state(const StepState& state) {
  upload(*stream_, {state_.data(), {1, 1, 1, int(sizeof(StepState))}, DType::u8}, &state);
}

StepState Program::state() const {
  StepState state;
  download(*stream_, &state, {state_.data(), {1, 1, 1, int(sizeof(StepState))}, DType::u8});
  return state;
}

std::string Program::summary() const {
  std::string text;
  for (size_t i = 0; i < bound_.size(); ++i) {
    const Layer& layer = *graph_.nodes()[i].layer;
    text += cat(i, "  ", layer.name, "  ", layer.describe(), "  ", to_string(bound_[i].spec.y),
                bound_[i].frozen ? "  frozen" : "", "\n");
  }
  return text;
}

}  // namespace telltale
