#if TT_CUDNN
#include "kernels/conv_cudnn_plan.h"

#include <algorithm>

namespace telltale::cudnn {
namespace {

using Kind = ConvOp::Kind;

/// Names of the tensors that hold memory; what lies between fused operations gets the next ones.
enum Uid : int64_t { kX = 1, kW, kY, kBias, kResidual, kBetween };

cudnnDataType_t data_type(DType t) {
  switch (t) {
    case DType::f32: return CUDNN_DATA_FLOAT;
    case DType::bf16: return CUDNN_DATA_BFLOAT16;
    case DType::f16: return CUDNN_DATA_HALF;
    default: throw DeviceError(cat("cuDNN convolutions here run in f32, bf16 or f16, not ", name_of(t)));
  }
}

/// NHWC memory with cuDNN's order of dimensions, N, C, H, W.
Descriptor tensor(Uid uid, const Shape& s, cudnnDataType_t type, int64_t alignment, bool is_virtual = false) {
  Descriptor t(CUDNN_BACKEND_TENSOR_DESCRIPTOR);
  const int64_t row = int64_t(s.w) * s.c;
  t.set(CUDNN_ATTR_TENSOR_UNIQUE_ID, int64_t(uid))
      .set(CUDNN_ATTR_TENSOR_DATA_TYPE, type)
      .set(CUDNN_ATTR_TENSOR_DIMENSIONS, std::vector<int64_t>{s.n, s.c, s.h, s.w})
      .set(CUDNN_ATTR_TENSOR_STRIDES, std::vector<int64_t>{s.h * row, 1, row, s.c})
      .set(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, alignment)
      .set(CUDNN_ATTR_TENSOR_IS_VIRTUAL, is_virtual)
      .finalize();
  return t;
}

Descriptor geometry_of(const ConvGeometry& g) {
  Descriptor d(CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR);
  const int64_t pad = g.pad, post = g.pad + g.more_pad, stride = g.stride, dilation = g.dilation;
  d.set(CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_DATA_FLOAT)
      .set(CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_CROSS_CORRELATION)
      .set(CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, int64_t(2))
      .set(CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, std::vector<int64_t>{pad, pad})
      .set(CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, std::vector<int64_t>{post, post})
      .set(CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, std::vector<int64_t>{stride, stride})
      .set(CUDNN_ATTR_CONVOLUTION_DILATIONS, std::vector<int64_t>{dilation, dilation})
      .finalize();
  return d;
}

/// What cuDNN calls the attributes of an operation of each kind.
struct Names {
  cudnnBackendDescriptorType_t type;
  cudnnBackendAttributeName_t alpha, beta, geometry, x, w, y;
};
constexpr Names kNames[] = {
    {CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA,
     CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC,
     CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W,
     CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y},
    {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY},
    {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY}};

cudnnPointwiseMode_t mode_of(Act act) {
  switch (act) {
    case Act::relu: return CUDNN_POINTWISE_RELU_FWD;
    case Act::elu: return CUDNN_POINTWISE_ELU_FWD;
    case Act::sigmoid: return CUDNN_POINTWISE_SIGMOID_FWD;
    case Act::tanh: return CUDNN_POINTWISE_TANH_FWD;
    case Act::none: break;
  }
  return CUDNN_POINTWISE_IDENTITY;
}

Descriptor pointwise(cudnnPointwiseMode_t mode) {
  Descriptor d(CUDNN_BACKEND_POINTWISE_DESCRIPTOR);
  d.set(CUDNN_ATTR_POINTWISE_MODE, mode).set(CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_DATA_FLOAT).finalize();
  return d;
}

bool has(const std::vector<cudnnBackendNumericalNote_t>& notes, cudnnBackendNumericalNote_t note) {
  return std::find(notes.begin(), notes.end(), note) != notes.end();
}

Descriptor engine_of(const Descriptor& config) {
  return std::move(config.get(CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_BACKEND_ENGINE_DESCRIPTOR, 1).at(0));
}

/// Same bits on every run, operands as precise as promised, sums in f32.
bool is_faithful(const Descriptor& engine, const ConvOp& op) {
  const auto notes = engine.get<cudnnBackendNumericalNote_t>(CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, 16);
  if (has(notes, CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC) || has(notes, CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION))
    return false;
  if (op.dtype != DType::f32) return true;
  // On f32 a tensor core means TF32; Winograd and FFT lose digits that f32 is asked for to keep.
  for (auto note : {CUDNN_NUMERICAL_NOTE_WINOGRAD, CUDNN_NUMERICAL_NOTE_FFT, CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS})
    if (has(notes, note)) return false;
  return op.tf32 || !has(notes, CUDNN_NUMERICAL_NOTE_TENSOR_CORE);
}

bool compiles_at_run_time(const Descriptor& engine) {
  const auto notes = engine.get<cudnnBackendBehaviorNote_t>(CUDNN_ATTR_ENGINE_BEHAVIOR_NOTE, 16);
  return std::find(notes.begin(), notes.end(), CUDNN_BEHAVIOR_NOTE_RUNTIME_COMPILATION) != notes.end();
}

}  // namespace

ConvGraph::ConvGraph(const ConvOp& op, const Target& target)
    : op_(op), target_(&target), graph_(CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR) {
  const cudnnDataType_t type = data_type(op.dtype);
  const Names& names = kNames[int(op.kind)];
  const auto keep = [&](Descriptor d) -> const Descriptor& { return parts_.emplace_back(std::move(d)); };
  int64_t between = kBetween;
  const auto value = [&](bool last) -> const Descriptor& {
    return keep(last ? tensor(kY, op.y, type, op.alignment)
                     : tensor(Uid(between++), op.y, CUDNN_DATA_FLOAT, op.alignment, true));
  };
  const Descriptor* previous = &value(!op.residual && !op.bias && op.act == Act::none);
  Descriptor convolution(names.type);
  convolution.set(names.geometry, keep(geometry_of(op.geometry)))
      .set(names.x, keep(tensor(kX, op.x, type, op.alignment)))
      .set(names.w, keep(tensor(kW, op.w, type, op.alignment)))
      .set(names.y, *previous)
      .set(names.alpha, 1.f)
      .set(names.beta, op.add ? 1.f : 0.f)
      .finalize();
  operations_.push_back(std::move(convolution));
  const auto append = [&](cudnnPointwiseMode_t mode, const Descriptor* other, bool last) {
    const Descriptor& next = value(last);
    Descriptor operation(CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR);
    operation.set(CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, keep(pointwise(mode)))
        .set(CUDNN_ATTR_OPERATION_POINTWISE_XDESC, *previous)
        .set(CUDNN_ATTR_OPERATION_POINTWISE_YDESC, next);
    if (other) operation.set(CUDNN_ATTR_OPERATION_POINTWISE_BDESC, *other);
    operations_.push_back(std::move(operation.finalize()));
    previous = &next;
  };
  if (op.residual) {
    append(CUDNN_POINTWISE_ADD, &keep(tensor(kResidual, op.y, type, op.alignment)), !op.bias && op.act == Act::none);
  }
  if (op.bias) {
    append(CUDNN_POINTWISE_ADD, &keep(tensor(kBias, {1, 1, 1, op.y.c}, type, op.alignment)), op.act == Act::none);
  }
  if (op.act != Act::none) append(mode_of(op.act), nullptr, true);
  target.bind_graph(graph_);
  graph_.set(CUDNN_ATTR_OPERATIONGRAPH_OPS, operations_).finalize();
}

std::vector<Descriptor> ConvGraph::configurations_by(cudnnBackendHeurMode_t mode) const {
  Descriptor heuristics(CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
  heuristics.set(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, graph_).set(CUDNN_ATTR_ENGINEHEUR_MODE, mode);
  target_->bind_heuristics(heuristics);
  if (!heuristics.try_finalize()) return {};
  return heuristics.get(CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_BACKEND_ENGINECFG_DESCRIPTOR,
                        heuristics.count(CUDNN_ATTR_ENGINEHEUR_RESULTS));
}

std::optional<Plan> ConvGraph::build(Descriptor config) const {
  Plan p{.engine = {}, .config = std::move(config), .plan = Descriptor(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR)};
  p.plan.set(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, p.config);
  target_->bind_plan(p.plan);
  if (!p.plan.try_finalize()) return std::nullopt;
  p.workspace = size_t(p.plan.get<int64_t>(CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, 1).at(0));
  const Descriptor engine = engine_of(p.config);
  p.compiles = compiles_at_run_time(engine);
  p.engine.id = engine.get<int64_t>(CUDNN_ATTR_ENGINE_GLOBAL_INDEX, 1).at(0);
  for (const Descriptor& knob :
       p.config.get(CUDNN_ATTR_ENGINECFG_KNOB_CHOICES, CUDNN_BACKEND_KNOB_CHOICE_DESCRIPTOR, CUDNN_KNOB_TYPE_COUNTS)) {
    p.engine.knobs.emplace_back(knob.get<cudnnBackendKnobType_t>(CUDNN_ATTR_KNOB_CHOICE_KNOB_TYPE, 1).at(0),
                                knob.get<int64_t>(CUDNN_ATTR_KNOB_CHOICE_KNOB_VALUE, 1).at(0));
  }
  return p;
}

std::vector<Plan> ConvGraph::candidates(int most, size_t workspace, int compiled) const {
  std::vector<Plan> plans;
  for (auto mode : {CUDNN_HEUR_MODE_A, CUDNN_HEUR_MODE_FALLBACK}) {
    for (Descriptor& config : configurations_by(mode)) {
      if (int(plans.size()) >= most) return plans;
      const Descriptor engine = engine_of(config);
      const bool compiles = compiles_at_run_time(engine);
      if (!is_faithful(engine, op_) || (compiles && compiled == 0)) continue;
      std::optional<Plan> p = build(std::move(config));
      if (!p || p->workspace > workspace) continue;
      compiled -= compiles;
      plans.push_back(std::move(*p));
    }
    if (!plans.empty()) break;  // the fallback list is for what the first has nothing for
  }
  return plans;
}

int ConvGraph::configurations(bool compiled) const {
  int count = 0;
  for (const Descriptor& config : configurations_by(CUDNN_HEUR_MODE_A)) {
    const Descriptor engine = engine_of(config);
    count += is_faithful(engine, op_) && compiles_at_run_time(engine) == compiled;
  }
  return count;
}

std::optional<Plan> ConvGraph::plan(const Engine& e) const {
  Descriptor engine(CUDNN_BACKEND_ENGINE_DESCRIPTOR);
  engine.set(CUDNN_ATTR_ENGINE_OPERATION_GRAPH, graph_).set(CUDNN_ATTR_ENGINE_GLOBAL_INDEX, e.id);
  target_->bind_engine(engine);
  if (!engine.try_finalize()) return std::nullopt;
  std::vector<Descriptor> knobs;
  for (const auto& [type, value] : e.knobs) {
    Descriptor knob(CUDNN_BACKEND_KNOB_CHOICE_DESCRIPTOR);
    knob.set(CUDNN_ATTR_KNOB_CHOICE_KNOB_TYPE, cudnnBackendKnobType_t(type))
        .set(CUDNN_ATTR_KNOB_CHOICE_KNOB_VALUE, value);
    if (!knob.try_finalize()) return std::nullopt;
    knobs.push_back(std::move(knob));
  }
  Descriptor config(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR);
  config.set(CUDNN_ATTR_ENGINECFG_ENGINE, engine);
  if (!knobs.empty()) config.set(CUDNN_ATTR_ENGINECFG_KNOB_CHOICES, knobs);
  if (!config.try_finalize()) return std::nullopt;
  return build(std::move(config));
}

void ConvGraph::run(const Plan& plan, const ConvPointers& p, void* workspace) const {
  std::vector<int64_t> uids = {kX, kW, kY};
  std::vector<void*> pointers = {p.x, p.w, p.y};
  const auto add = [&](Uid uid, void* pointer) {
    uids.push_back(uid);
    pointers.push_back(pointer);
  };
  if (op_.bias) add(kBias, p.bias);
  if (op_.residual) add(kResidual, p.residual);
  Descriptor pack(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
  pack.set(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, uids)
      .set(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, pointers)
      .set(CUDNN_ATTR_VARIANT_PACK_WORKSPACE, workspace)
      .finalize();
  require(library().execute(target_->handle(), plan.plan.raw(), pack.raw()));
}

}  // namespace telltale::cudnn
#endif
