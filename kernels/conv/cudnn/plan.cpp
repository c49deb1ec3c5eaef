#if TT_CUDNN
#include "kernels/conv/cudnn/plan.h"

#include <algorithm>
#include <map>

namespace telltale::cudnn {
namespace {

using Kind = ConvOp::Kind;

/// Names of the tensors that hold memory; what lies between fused operations gets the next ones.
enum Uid : int64_t {
  kX = 1,
  kW,
  kY,
  kBias,
  kResidual,
  kGate,
  kScale,
  kShift,
  kSum,
  kSquares,
  kNormX,
  kMean,
  kRstd,
  kGamma,
  kBeta,
  kDgamma,
  kDbeta,
  kSpare,
  kBetween = kSpare + 3
};

cudnnDataType_t data_type(DType t) {
  switch (t) {
    case DType::f32: return CUDNN_DATA_FLOAT;
    case DType::bf16: return CUDNN_DATA_BFLOAT16;
    case DType::f16: return CUDNN_DATA_HALF;
    default: throw DeviceError(cat("cuDNN convolutions here run in f32, bf16 or f16, not ", name_of(t)));
  }
}

/// NHWC memory with cuDNN's order of dimensions, N, C, H, W.
Descriptor tensor(int64_t uid, const Shape& s, cudnnDataType_t type, int64_t alignment, bool is_virtual = false) {
  Descriptor t(CUDNN_BACKEND_TENSOR_DESCRIPTOR);
  const int64_t row = int64_t(s.w) * s.c;
  t.set(CUDNN_ATTR_TENSOR_UNIQUE_ID, uid)
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

int64_t id_of(const Descriptor& engine) { return engine.get<int64_t>(CUDNN_ATTR_ENGINE_GLOBAL_INDEX, 1).at(0); }

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

const Descriptor& ConvGraph::between(const Shape& s) {
  return keep(tensor(uid_between_++, s, CUDNN_DATA_FLOAT, op_.alignment, true));
}

const Descriptor& ConvGraph::vector(int64_t uid, cudnnDataType_t type, int channels) {
  return keep(tensor(uid, {1, 1, 1, channels ? channels : op_.x.c}, type, 16));
}

void ConvGraph::append(cudnnPointwiseMode_t mode, const Descriptor& x, const Descriptor* other, const Descriptor& y) {
  Descriptor operation(CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR);
  operation.set(CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, keep(pointwise(mode)))
      .set(CUDNN_ATTR_OPERATION_POINTWISE_XDESC, x);
  if (mode == CUDNN_POINTWISE_RELU_BWD) {
    operation.set(CUDNN_ATTR_OPERATION_POINTWISE_DYDESC, *other).set(CUDNN_ATTR_OPERATION_POINTWISE_DXDESC, y);
  } else {
    operation.set(CUDNN_ATTR_OPERATION_POINTWISE_YDESC, y);
    if (other) operation.set(CUDNN_ATTR_OPERATION_POINTWISE_BDESC, *other);
  }
  operations_.push_back(std::move(operation.finalize()));
}

const Descriptor& ConvGraph::normalised(const Descriptor& x) {
  const cudnnDataType_t type = data_type(op_.dtype);
  const Descriptor &scaled = between(op_.x), &shifted = between(op_.x), &y = between(op_.x);
  append(CUDNN_POINTWISE_MUL, x, &vector(kScale, type), scaled);
  append(CUDNN_POINTWISE_ADD, scaled, &vector(kShift, type), shifted);
  append(CUDNN_POINTWISE_RELU_FWD, shifted, nullptr, y);
  return y;
}

void ConvGraph::append_sums(const Descriptor& y) {
  const cudnnGenStatsMode_t mode = CUDNN_GENSTATS_SUM_SQSUM;
  Descriptor sums(CUDNN_BACKEND_OPERATION_GEN_STATS_DESCRIPTOR);
  sums.set(CUDNN_ATTR_OPERATION_GENSTATS_MODE, CUDNN_TYPE_GENSTATS_MODE, 1, &mode)
      .set(CUDNN_ATTR_OPERATION_GENSTATS_MATH_PREC, CUDNN_DATA_FLOAT)
      .set(CUDNN_ATTR_OPERATION_GENSTATS_XDESC, y)
      .set(CUDNN_ATTR_OPERATION_GENSTATS_SUMDESC, vector(kSum, CUDNN_DATA_FLOAT, op_.y.c))
      .set(CUDNN_ATTR_OPERATION_GENSTATS_SQSUMDESC, vector(kSquares, CUDNN_DATA_FLOAT, op_.y.c))
      .finalize();
  operations_.push_back(std::move(sums));
}

// The one pattern that cuDNN's ready-made engine takes: mean, 1/deviation, gamma and beta each in an operation.
void ConvGraph::append_norm_gradient(const Descriptor& dy, const Descriptor& dx) {
  const auto f32 = CUDNN_DATA_FLOAT;
  const Descriptor& x = keep(tensor(kNormX, op_.x, data_type(op_.dtype), op_.alignment));
  const Descriptor &mean = vector(kMean, f32), &rstd = vector(kRstd, f32), &gamma = vector(kGamma, f32);
  const Descriptor &centred = between(op_.x), &whitened = between(op_.x), &scaled = between(op_.x);
  const Descriptor& y = between(op_.x);
  append(CUDNN_POINTWISE_SUB, x, &mean, centred);
  append(CUDNN_POINTWISE_MUL, centred, &rstd, whitened);
  append(CUDNN_POINTWISE_MUL, whitened, &gamma, scaled);
  append(CUDNN_POINTWISE_ADD, scaled, &vector(kBeta, f32), y);
  append(CUDNN_POINTWISE_RELU_BWD, y, &dy, dx);
  Descriptor weights(CUDNN_BACKEND_OPERATION_BN_BWD_WEIGHTS_DESCRIPTOR);
  weights.set(CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_MATH_PREC, f32)
      .set(CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_MEAN_DESC, mean)
      .set(CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_INVSTD_DESC, rstd)
      .set(CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_BN_SCALE_DESC, gamma)
      .set(CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_X_DESC, x)
      .set(CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_DY_DESC, dx)
      .set(CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_DBN_SCALE_DESC, vector(kDgamma, f32))
      .set(CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_DBN_BIAS_DESC, vector(kDbeta, f32))
      .set(CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_EQ_DY_SCALE_DESC, vector(kSpare, f32))
      .set(CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_EQ_X_SCALE_DESC, vector(kSpare + 1, f32))
      .set(CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_EQ_BIAS, vector(kSpare + 2, f32))
      .finalize();
  operations_.push_back(std::move(weights));
}

ConvGraph::ConvGraph(const ConvOp& op, const Target& target)
    : op_(op), target_(&target), uid_between_(kBetween), graph_(CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR) {
  const cudnnDataType_t type = data_type(op.dtype);
  const Names& names = kNames[int(op.kind)];
  const bool norm_before = op.norm && op.kind != Kind::input_grad, norm_behind = op.norm && !norm_before;
  int more = op.residual + op.bias + (op.act != Act::none) + op.gate;  // operations that follow
  const auto value = [&]() -> const Descriptor& {
    return more-- > 0 ? between(op.y) : keep(tensor(kY, op.y, type, op.alignment));
  };
  const Descriptor& x = keep(tensor(kX, op.x, type, op.alignment));
  const Descriptor* y = &value();
  const Descriptor& operand = norm_before ? normalised(x) : norm_behind ? between(op.x) : x;
  Descriptor convolution(names.type);
  convolution.set(names.geometry, keep(geometry_of(op.geometry)))
      .set(names.x, operand)
      .set(names.w, keep(tensor(kW, op.w, type, op.alignment)))
      .set(names.y, *y)
      .set(names.alpha, 1.f)
      .set(names.beta, op.add ? 1.f : 0.f)
      .finalize();
  operations_.push_back(std::move(convolution));
  const auto then = [&](cudnnPointwiseMode_t mode, const Descriptor* other) {
    const Descriptor& next = value();
    append(mode, *y, other, next);
    y = &next;
  };
  if (op.residual) then(CUDNN_POINTWISE_ADD, &keep(tensor(kResidual, op.y, type, op.alignment)));
  if (op.bias) then(CUDNN_POINTWISE_ADD, &keep(tensor(kBias, {1, 1, 1, op.y.c}, type, op.alignment)));
  if (op.act != Act::none) then(mode_of(op.act), nullptr);
  if (op.gate) {
    const Descriptor& open = between(op.y);
    append(CUDNN_POINTWISE_SIGMOID_FWD, keep(tensor(kGate, op.y, type, op.alignment)), nullptr, open);
    then(CUDNN_POINTWISE_MUL, &open);
  }
  if (op.sums) append_sums(*y);
  if (norm_behind) append_norm_gradient(operand, x);
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
  p.engine.id = id_of(engine);
  for (const Descriptor& knob :
       p.config.get(CUDNN_ATTR_ENGINECFG_KNOB_CHOICES, CUDNN_BACKEND_KNOB_CHOICE_DESCRIPTOR, CUDNN_KNOB_TYPE_COUNTS)) {
    p.engine.knobs.emplace_back(knob.get<cudnnBackendKnobType_t>(CUDNN_ATTR_KNOB_CHOICE_KNOB_TYPE, 1).at(0),
                                knob.get<int64_t>(CUDNN_ATTR_KNOB_CHOICE_KNOB_VALUE, 1).at(0));
  }
  return p;
}

std::vector<Plan> ConvGraph::candidates(int most, size_t workspace, int compiled) const {
  std::vector<Plan> plans;
  std::map<int64_t, int> of_engine;
  for (auto mode : {CUDNN_HEUR_MODE_A, CUDNN_HEUR_MODE_FALLBACK}) {
    for (Descriptor& config : configurations_by(mode)) {
      if (int(plans.size()) >= most) return plans;
      const Descriptor engine = engine_of(config);
      const bool compiles = compiles_at_run_time(engine);
      if (!is_faithful(engine, op_) || (compiles && compiled == 0)) continue;
      if (of_engine[id_of(engine)] >= kPerEngine) continue;
      std::optional<Plan> p = build(std::move(config));
      if (!p || p->workspace > workspace) continue;
      compiled -= compiles;
      p->fallback = mode == CUDNN_HEUR_MODE_FALLBACK;
      ++of_engine[p->engine.id];
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

std::optional<Plan> ConvGraph::remembered(const std::optional<Engine>& known) const {
  try {
    return known ? plan(*known) : std::nullopt;
  } catch (const DeviceError&) {
    return std::nullopt;
  }
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
  if (op_.gate) add(kGate, p.gate);
  if (op_.sums) {
    add(kSum, p.sum);
    add(kSquares, p.squares);
  }
  if (op_.norm && op_.kind != Kind::input_grad) {
    add(kScale, p.scale);
    add(kShift, p.shift);
  } else if (op_.norm) {
    add(kNormX, p.norm_x);
    add(kMean, p.mean);
    add(kRstd, p.rstd);
    add(kGamma, p.gamma);
    add(kBeta, p.beta);
    add(kDgamma, p.dgamma);
    add(kDbeta, p.dbeta);
    // Vectors start at multiples of 16 bytes.
    const int64_t pitch = (int64_t(op_.x.c) * 4 + 15) / 16 * 16;
    for (int i = 0; i < 3; ++i) add(Uid(kSpare + i), static_cast<char*>(p.spare) + i * pitch);
  }
  Descriptor pack(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
  pack.set(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, uids)
      .set(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, pointers)
      .set(CUDNN_ATTR_VARIANT_PACK_WORKSPACE, workspace)
      .finalize();
  require(library().execute(target_->handle(), plan.plan.raw(), pack.raw()));
}

}  // namespace telltale::cudnn
#endif
