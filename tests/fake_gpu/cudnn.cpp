// cuDNN's graph API, as far as kernels/device/cudnn_graph.h uses it. Its engines are made to tempt: the heuristics put
// first what a program must pass over.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <set>
#include <thread>

#include "tests/fake_gpu/cudnn_operations.h"
#include "tests/fake_gpu/device.h"

using namespace telltale::fake_gpu;  // NOLINT: every line here is about it

struct cudnnContext {
  cudaStream_t stream = nullptr;
};

namespace {

struct Engine {
  int64_t id;
  size_t workspace;
  std::vector<cudnnBackendNumericalNote_t> notes;
  int configurations = 1;  // of one knob's values
  bool compiles = false;
};
constexpr size_t kMiB = size_t(1) << 20;
/// In the order of preference. 0 comes in many configurations, 3 takes more memory than anyone should give, 2 and 6
/// break promises.
const std::vector<Engine>& engines() {
  static const std::vector<Engine> all = {{2, 0, {CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC}},
                                          {6, 0, {CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION}},
                                          {3, size_t(1) << 40, {}},
                                          {0, 0, {}, 12},
                                          {1, kMiB, {}, 2},
                                          {5, 0, {CUDNN_NUMERICAL_NOTE_TENSOR_CORE}},
                                          {4, kMiB, {}, 1, true}};
  return all;
}
/// What stands in where no other engine does.
const Engine kFallback{7, 0, {}};

const Engine* engine_by(int64_t id) {
  for (const Engine& e : engines())
    if (e.id == id) return &e;
  return id == kFallback.id ? &kFallback : nullptr;
}

/// Whether TT_FAKE_GPU's setting names the engine.
bool is_set(const char* name, int64_t engine) {
  const std::string value = setting(name);
  return value == "all" || ("+" + value + "+").find("+" + std::to_string(engine) + "+") != std::string::npos;
}

Node& node_of(cudnnBackendDescriptor_t d) { return *static_cast<Handle*>(d)->node; }

NodePtr final_node(cudnnBackendDescriptorType_t type) {
  auto n = std::make_shared<Node>();
  n->type = type;
  n->is_final = true;
  return n;
}

bool finish_engine(Node& n) {
  const Engine* e = engine_by(n.one<int64_t>(CUDNN_ATTR_ENGINE_GLOBAL_INDEX, -1));
  if (!e || !n.node(CUDNN_ATTR_ENGINE_OPERATION_GRAPH)) return false;
  n.set(CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, CUDNN_TYPE_NUMERICAL_NOTE, e->notes);
  n.set(CUDNN_ATTR_ENGINE_BEHAVIOR_NOTE, CUDNN_TYPE_BEHAVIOR_NOTE,
        std::vector<cudnnBackendBehaviorNote_t>(e->compiles ? 1 : 0, CUDNN_BEHAVIOR_NOTE_RUNTIME_COMPILATION));
  return true;
}

NodePtr configuration(const NodePtr& graph, const Engine& e, int64_t knob) {
  const NodePtr engine = final_node(CUDNN_BACKEND_ENGINE_DESCRIPTOR);
  engine->set_nodes(CUDNN_ATTR_ENGINE_OPERATION_GRAPH, {graph});
  engine->set(CUDNN_ATTR_ENGINE_GLOBAL_INDEX, CUDNN_TYPE_INT64, std::vector<int64_t>{e.id});
  finish_engine(*engine);
  const NodePtr choice = final_node(CUDNN_BACKEND_KNOB_CHOICE_DESCRIPTOR);
  choice->set(CUDNN_ATTR_KNOB_CHOICE_KNOB_TYPE, CUDNN_TYPE_KNOB_TYPE,
              std::vector<cudnnBackendKnobType_t>{CUDNN_KNOB_TYPE_TILE_SIZE});
  choice->set(CUDNN_ATTR_KNOB_CHOICE_KNOB_VALUE, CUDNN_TYPE_INT64, std::vector<int64_t>{knob});
  NodePtr config = final_node(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR);
  config->set_nodes(CUDNN_ATTR_ENGINECFG_ENGINE, {engine});
  config->set_nodes(CUDNN_ATTR_ENGINECFG_KNOB_CHOICES, {choice});
  return config;
}

bool finish_heuristics(Node& n) {
  const NodePtr graph = n.node(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH);
  if (!graph) return false;
  const bool fallback = n.one<cudnnBackendHeurMode_t>(CUDNN_ATTR_ENGINEHEUR_MODE) == CUDNN_HEUR_MODE_FALLBACK;
  std::vector<NodePtr> found;
  for (const Engine& e : fallback ? std::vector{kFallback} : engines())
    for (int knob = 0; knob < e.configurations; ++knob) found.push_back(configuration(graph, e, knob));
  n.set_nodes(CUDNN_ATTR_ENGINEHEUR_RESULTS, std::move(found));
  return true;
}

bool finish_plan(Node& n) {
  const NodePtr config = n.node(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG);
  if (!config) return false;
  const Engine* e = engine_by(config->node(CUDNN_ATTR_ENGINECFG_ENGINE)->one<int64_t>(CUDNN_ATTR_ENGINE_GLOBAL_INDEX));
  if (is_set("refuse", e->id)) return false;
  n.set(CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, CUDNN_TYPE_INT64, std::vector<int64_t>{int64_t(e->workspace)});
  return true;
}

/// Whether an operation's graph is asked for the first time.
bool is_new(const OperationGraph& g) {
  static std::set<std::vector<int64_t>> known;
  std::vector<int64_t> key;
  for (const GraphOperation& o : g.operations)
    key.insert(key.end(), {int64_t(o.type), int64_t(o.mode), o.stride, o.pad, o.dilation, int64_t(o.beta != 0)});
  for (const auto& [uid, t] : g.tensors) key.insert(key.end(), {uid, t.n, t.h, t.w, t.c, t.alignment, int64_t(t.type)});
  return known.insert(key).second;
}

bool finish_graph(const Node& n) {
  const std::optional<OperationGraph> g = graph_of(n);
  return g && !(setting("hesitate") == "1" && is_new(*g));
}

bool finish(Node& n) {
  switch (n.type) {
    case CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR: return finish_graph(n);
    case CUDNN_BACKEND_ENGINE_DESCRIPTOR: return finish_engine(n);
    case CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR: return finish_heuristics(n);
    case CUDNN_BACKEND_ENGINECFG_DESCRIPTOR: return n.node(CUDNN_ATTR_ENGINECFG_ENGINE) != nullptr;
    case CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR: return finish_plan(n);
    case CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR: return false;  // nothing is described here
    default: return true;
  }
}

/// The memory of every tensor that is not virtual; nothing where a uid is missing or too many, where a pointer is not
/// aligned as its tensor promises or its tensor does not lie in device memory, or the workspace overlaps one.
std::optional<std::map<int64_t, void*>> memory_of(const OperationGraph& g, const Node& pack, const void* workspace,
                                                  size_t workspace_bytes) {
  const auto uids = pack.all<int64_t>(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS);
  const auto pointers = pack.all<void*>(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS);
  if (uids.size() != pointers.size()) return std::nullopt;
  std::map<int64_t, void*> memory;
  for (size_t i = 0; i < uids.size(); ++i) memory[uids[i]] = pointers[i];
  size_t expected = 0;
  const auto* space = static_cast<const char*>(workspace);
  for (const auto& [uid, t] : g.tensors) {
    if (t.is_virtual) continue;
    ++expected;
    const auto at = memory.find(uid);
    if (at == memory.end()) return std::nullopt;
    const auto* p = static_cast<const char*>(at->second);
    if (reinterpret_cast<uintptr_t>(p) % size_t(t.alignment) != 0 || !is_device_memory(p, t.bytes()))
      return std::nullopt;
    if (workspace_bytes > 0 && p < space + workspace_bytes && space < p + t.bytes()) return std::nullopt;
  }
  if (expected != memory.size() || (workspace_bytes > 0 && !is_device_memory(workspace, workspace_bytes)))
    return std::nullopt;
  return memory;
}

/// Whether a batch norm runs inside: its statistics or its gradients are written too.
bool is_fused(const OperationGraph& g) {
  return std::any_of(g.operations.begin(), g.operations.end(),
                     [](const GraphOperation& o) { return o.out.size() > 1; });
}

/// 1.08 times the right result in everything written.
void spoil(const OperationGraph& g, const std::map<int64_t, void*>& memory) {
  for (const GraphOperation& o : g.operations) {
    for (int64_t uid : o.out) {
      const GraphTensor& t = g.tensors.at(uid);
      for (int64_t i = 0; !t.is_virtual && i < t.numel(); ++i)
        set_number(t.type, memory.at(uid), i, 1.08f * number(t.type, memory.at(uid), i));
    }
  }
}

}  // namespace

extern "C" {

size_t cudnnGetVersion() { return CUDNN_VERSION; }
const char* cudnnGetErrorString(cudnnStatus_t s) {
  return s == CUDNN_STATUS_SUCCESS            ? "CUDNN_STATUS_SUCCESS"
         : s == CUDNN_STATUS_NOT_SUPPORTED    ? "CUDNN_STATUS_NOT_SUPPORTED"
         : s == CUDNN_STATUS_EXECUTION_FAILED ? "CUDNN_STATUS_EXECUTION_FAILED"
                                              : "CUDNN_STATUS_BAD_PARAM";
}
void cudnnGetLastErrorString(char* text, size_t size) { std::snprintf(text, size, "said by the fake cuDNN"); }

cudnnStatus_t cudnnCreate(cudnnHandle_t* handle) {
  *handle = new cudnnContext;
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnDestroy(cudnnHandle_t handle) {
  delete handle;
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnSetStream(cudnnHandle_t handle, cudaStream_t stream) {
  handle->stream = stream;
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendCreateDescriptor(cudnnBackendDescriptorType_t type, cudnnBackendDescriptor_t* d) {
  auto node = std::make_shared<Node>();
  node->type = type;
  *d = new Handle{std::move(node)};
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnBackendDestroyDescriptor(cudnnBackendDescriptor_t d) {
  delete static_cast<Handle*>(d);
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnBackendFinalize(cudnnBackendDescriptor_t d) {
  Node& n = node_of(d);
  if (n.is_final) return CUDNN_STATUS_BAD_PARAM;
  n.is_final = finish(n);
  return n.is_final ? CUDNN_STATUS_SUCCESS : CUDNN_STATUS_NOT_SUPPORTED;
}

cudnnStatus_t cudnnBackendSetAttribute(cudnnBackendDescriptor_t d, cudnnBackendAttributeName_t name,
                                       cudnnBackendAttributeType_t type, int64_t count, const void* values) {
  Node& n = node_of(d);
  if (n.is_final || count < 0) return CUDNN_STATUS_BAD_PARAM;
  if (type != CUDNN_TYPE_BACKEND_DESCRIPTOR) {
    const size_t each = type == CUDNN_TYPE_BOOLEAN || type == CUDNN_TYPE_CHAR ? 1
                        : type == CUDNN_TYPE_INT64 || type == CUDNN_TYPE_DOUBLE || type == CUDNN_TYPE_VOID_PTR ||
                                type == CUDNN_TYPE_HANDLE
                            ? 8
                            : 4;
    const auto* bytes = static_cast<const char*>(values);
    n.attributes[name] = {type, count, {bytes, bytes + size_t(count) * each}, {}};
    return CUDNN_STATUS_SUCCESS;
  }
  std::vector<NodePtr> nodes;
  for (int64_t i = 0; i < count; ++i) {
    const auto* handle = static_cast<const Handle*>(static_cast<const cudnnBackendDescriptor_t*>(values)[i]);
    if (!handle || !handle->node->is_final) return CUDNN_STATUS_BAD_PARAM;
    nodes.push_back(handle->node);
  }
  n.set_nodes(name, std::move(nodes));
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendGetAttribute(cudnnBackendDescriptor_t d, cudnnBackendAttributeName_t name,
                                       cudnnBackendAttributeType_t type, int64_t most, int64_t* count, void* values) {
  const Node& n = node_of(d);
  const auto at = n.attributes.find(name);
  if (!n.is_final) return CUDNN_STATUS_BAD_PARAM;
  *count = at == n.attributes.end() ? 0 : at->second.count;
  if (*count == 0 || !values) return CUDNN_STATUS_SUCCESS;
  const Attribute& a = at->second;
  if (a.type != type) return CUDNN_STATUS_BAD_PARAM;
  const int64_t given = *count < most ? *count : most;
  if (type == CUDNN_TYPE_BACKEND_DESCRIPTOR) {
    for (int64_t i = 0; i < given; ++i)
      static_cast<Handle*>(static_cast<cudnnBackendDescriptor_t*>(values)[i])->node = a.nodes[size_t(i)];
  } else {
    std::memcpy(values, a.bytes.data(), a.bytes.size() / size_t(a.count) * size_t(given));
  }
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendExecute(cudnnHandle_t handle, cudnnBackendDescriptor_t plan_of,
                                  cudnnBackendDescriptor_t pack_of) {
  const Node &plan = node_of(plan_of), &pack = node_of(pack_of);
  if (!plan.is_final || !pack.is_final) return CUDNN_STATUS_BAD_PARAM;
  const NodePtr engine = plan.node(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG)->node(CUDNN_ATTR_ENGINECFG_ENGINE);
  const auto id = engine->one<int64_t>(CUDNN_ATTR_ENGINE_GLOBAL_INDEX);
  OperationGraph graph = *graph_of(*engine->node(CUDNN_ATTR_ENGINE_OPERATION_GRAPH));
  void* const workspace = pack.one<void*>(CUDNN_ATTR_VARIANT_PACK_WORKSPACE);
  const size_t bytes = engine_by(id)->workspace;
  auto memory = memory_of(graph, pack, workspace, bytes);
  if (!memory) return CUDNN_STATUS_BAD_PARAM;
  if (is_set("fail", id)) return CUDNN_STATUS_EXECUTION_FAILED;
  if (is_set("unrecordable", id)) {
    if (is_recording(handle->stream)) {
      break_recording(handle->stream);
      return CUDNN_STATUS_NOT_SUPPORTED;
    }
  }
  const bool tf32 = id == 5 && graph.tensors.begin()->second.type == Type::f32;
  const cudaError_t error = enqueue(handle->stream, "a convolution",
                                    [id, graph = std::move(graph), memory = *memory, workspace, bytes, tf32] {
                                      if (is_set("fault", id)) return break_device(cudaErrorIllegalAddress);
                                      if (is_set("slow", id)) std::this_thread::sleep_for(std::chrono::milliseconds(3));
                                      if (bytes > 0) std::memset(workspace, 0xff, bytes);
                                      compute(graph, memory, tf32);
                                      if (is_set("wrong", id) || (setting("wrong") == "fused" && is_fused(graph)))
                                        spoil(graph, memory);
                                    });
  return error == cudaSuccess ? CUDNN_STATUS_SUCCESS : CUDNN_STATUS_EXECUTION_FAILED;
}

}  // extern "C"
