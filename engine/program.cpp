// Running a planned program. Planning is in program_plan.cpp.
#include "engine/program.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>

#include "kernels/cast.h"
#include "kernels/reduce.h"

namespace telltale {
namespace {
Tensor bytes_of(const Buffer& b) { return b.view({1, 1, 1, int(b.size())}, DType::u8); }

/// Gives the whole pages inside a tensor's memory on the host back to the system: they hold zeros from then on.
void give_back(Tensor t) {
  const auto page = uintptr_t(sysconf(_SC_PAGESIZE));
  const uintptr_t from = (reinterpret_cast<uintptr_t>(t.data) + page - 1) / page * page;
  const uintptr_t to = (reinterpret_cast<uintptr_t>(t.data) + t.bytes()) / page * page;
  // What it says of success does not matter: at worst the memory stays.
  if (from < to) madvise(t.as<char>() + (from - reinterpret_cast<uintptr_t>(t.data)), to - from, MADV_DONTNEED);
}
}  // namespace

Program::Program(const Graph& fused, Stream& stream, const Options& options, std::nullptr_t)
    : graph_(fused), stream_(&stream), options_(options) {}

Graph Program::fused(const Graph& graph, const Stream& stream, const Options& o) {
  const bool chains = o.chains.value_or(o.compute == DType::f16 && stream.is_cuda());
  return o.fuse ? graph.fused({.training = o.training, .chains = chains, .stems = o.stems.value_or(stream.is_cuda())})
                : graph;
}

Program::Program(const Graph& graph, Stream& stream, const Options& options)
    : Program(fused(graph, stream, options), stream, options, nullptr) {
  TT_CHECK(options.keep_parameters || !options.training, ShapeError, "a program that trains keeps its parameters");
  plan();
  state_ = Buffer(stream.place(), sizeof(StepState));
  if (options.dynamic_loss_scale) {
    loss_scale_ = Buffer(stream.place(), sizeof(LossScale));
    set_loss_scale({});
  }
  state_upload_.emplace(stream, sizeof(StepState));
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
  auto param = params_->all().begin();
  for (size_t i = 0; i < bound_.size(); ++i) {
    const std::span own(param, bound_[i].spec.params.size());
    param += std::ssize(own);
    for (const Param& p : own) {
      if (p.shadow) cast(*stream_, p.value, p.shadow);
    }
    if (bound_[i].packed) graph_.nodes()[i].layer->prepare(*stream_, io(i, false));
    if (options_.keep_parameters || stream_->is_cuda()) continue;
    // Layer by layer, so that a whole net is never in memory twice.
    for (size_t k = 0; k < own.size(); ++k) {
      const bool all = bound_[i].spec.prepare_only >> k & 1;
      if (all || own[k].shadow) give_back(own[k].value);
      if (all && own[k].shadow) give_back(own[k].shadow);
    }
  }
  prepared_ = true;
}

Params* Program::kept_params() const {
  TT_CHECK(options_.keep_parameters || !prepared_, Error,
           "this program has run, and was planned without keep_parameters: they are gone");
  return params_.get();
}

void Program::forward() {
  make_ready();
  for (size_t i = 0; i < bound_.size(); ++i) {
    const Io run = io(i, false);
    graph_.nodes()[i].layer->forward(*stream_, run);
    if (observer_) observer_({int(i), false}, *graph_.nodes()[i].layer, run);
  }
}

void Program::gradients(std::span<const Head> heads, bool accumulate) {
  forward();
  for (Value v : graph_.outputs()) {
    const bool learns = std::any_of(heads.begin(), heads.end(), [&](const Head& h) { return h.pred.id == v.id; });
    if (!learns && gradients_[size_t(v.id)]) fill_zero(*stream_, gradients_[size_t(v.id)]);
  }
  const auto* state = static_cast<const StepState*>(state_.data());
  for (const Head& h : heads) h.loss->eval(*stream_, tensor(h.pred), h.target, h.terms, gradient(h.pred), state);
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
  const ParamArena arena = params_->arena();
  if (arena.count == 0) return;
  auto* state = static_cast<StepState*>(state_.data());
  if (options_.dynamic_loss_scale) finite_check(*stream_, arena.grad, state);
  optimizer.step(*stream_, arena, state);
  if (options_.dynamic_loss_scale) adapt_loss_scale(*stream_, static_cast<LossScale*>(loss_scale_.data()), state);
}

void Program::set_state(const StepState& state) {
  state_upload_->send(bytes_of(state_), &state);
  if (options_.dynamic_loss_scale)
    apply_loss_scale(*stream_, static_cast<const LossScale*>(loss_scale_.data()),
                     static_cast<StepState*>(state_.data()));
}

StepState Program::state() const {
  StepState state;
  download(*stream_, &state, bytes_of(state_));
  return state;
}

LossScale Program::loss_scale() const {
  LossScale scale;
  download(*stream_, &scale, bytes_of(loss_scale_));
  return scale;
}

void Program::set_loss_scale(const LossScale& scale) { upload(*stream_, bytes_of(loss_scale_), &scale); }

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
