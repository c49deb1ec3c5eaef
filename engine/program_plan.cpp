// Planning a program: shapes, who needs gradients, lifetimes, one arena.
#include <algorithm>

#include "engine/program.h"
#include "kernels/device/cuda_api.h"

namespace telltale {
namespace {

/// Moments: node i runs forward at i, the loss at N, node i's backward at 2N − i.
struct Clock {
  int n;
  int forward(size_t i) const { return int(i); }
  int loss() const { return n; }
  int backward(size_t i) const { return 2 * n - int(i); }
  int end() const { return 2 * n + 1; }
};

/// Lifetimes by key, and which tensor each belongs to.
class Tenants {
 public:
  size_t add(size_t bytes, int first, int last) {
    lifetimes_.push_back({bytes, first, last});
    return lifetimes_.size() - 1;
  }
  Lifetime& operator[](size_t i) { return lifetimes_[i]; }
  const std::vector<Lifetime>& all() const { return lifetimes_; }

 private:
  std::vector<Lifetime> lifetimes_;
};

constexpr size_t kNone = size_t(-1);

/// Bytes as a tensor, in rows of 256 so that any size fits a shape.
Tensor raw_bytes(void* data, size_t bytes) { return {data, {1, 1, int((bytes + 255) / 256), 256}, DType::u8}; }

}  // namespace

/// A value's, a gradient's, a node's place: an index into the lifetimes, kNone where it has none.
struct Program::Layout {
  Placement placement;
  std::vector<size_t> value_at, gradient_at, scratch_at, backward_scratch_at;
  std::vector<std::vector<size_t>> saved_at;
  std::vector<DType> types;
  std::vector<bool> fixed;  // inputs and outputs: nobody may run in place on them
};

void Program::plan() {
  std::vector<std::pair<ParamSpec, bool>> params;
  const std::vector<Shape> shapes = infer_shapes(params);
  const Layout layout = lay_out(shapes);
  if (stream_->is_cuda()) {
    const Footprint need{layout.placement.total, packed_bytes(),
                         Params::bytes_for(params, options_.compute, options_.training)};
    const size_t free = cuda_api::memory().free;
    // A tenth is for the libraries: their kernels, their workspace, and the trials by which they choose.
    TT_CHECK(need.total() <= free / 10 * 9, DeviceError, "the GPU's memory is too small: ", need.total() >> 20,
             " MiB planned (activations ", need.arena >> 20, ", parameters ", need.params >> 20, "), ", free >> 20,
             " MiB free, of which a tenth is for cuDNN and cuBLAS");
  }
  params_ = std::make_unique<Params>(*stream_, params, options_.compute, options_.training, options_.seed);
  bind(shapes, layout);
  bind_params();
}

Footprint Program::footprint(const Graph& graph, Stream& stream, const Options& options) {
  Program p(fused(graph, stream, options), stream, options, nullptr);
  std::vector<std::pair<ParamSpec, bool>> params;
  const std::vector<Shape> shapes = p.infer_shapes(params);
  return {p.lay_out(shapes).placement.total, p.packed_bytes(),
          Params::bytes_for(params, options.compute, options.training)};
}

std::vector<Shape> Program::infer_shapes(std::vector<std::pair<ParamSpec, bool>>& params) {
  const auto& nodes = graph_.nodes();
  bound_.resize(nodes.size());
  std::vector<Shape> shapes(size_t(graph_.value_count()));
  needs_gradient_.assign(shapes.size(), false);
  for (const Graph::Input& in : graph_.inputs()) {
    shapes[size_t(in.value.id)] = in.shape;
    const DType type = in.dtype.value_or(options_.compute);
    if (options_.input_gradients && type == options_.compute) needs_gradient_[size_t(in.value.id)] = options_.training;
  }
  for (size_t i = 0; i < nodes.size(); ++i) {
    Bound& b = bound_[i];
    std::vector<Shape> x;
    bool upstream = false;
    for (Value v : nodes[i].x) {
      x.push_back(shapes[size_t(v.id)]);
      upstream = upstream || needs_gradient_[size_t(v.id)];
    }
    b.frozen = nodes[i].frozen;
    PlanContext context{*stream_, options_.compute, options_.training, b.frozen, false};
    b.spec = nodes[i].layer->plan(context, x);
    const bool trains =
        options_.training && !b.frozen &&
        std::any_of(b.spec.params.begin(), b.spec.params.end(), [](const ParamSpec& p) { return p.trainable; });
    b.backward = options_.training && (trains || upstream);
    if (b.backward) {  // only now is known what backward will read
      context.backward = true;
      b.spec = nodes[i].layer->plan(context, x);
    }
    shapes[size_t(nodes[i].y.id)] = b.spec.y;
    needs_gradient_[size_t(nodes[i].y.id)] = b.backward;
    for (const ParamSpec& p : b.spec.params) params.emplace_back(p, p.trainable && !b.frozen);
  }
  std::vector<bool> used(shapes.size(), false);
  for (const Graph::Node& n : nodes) {
    for (Value v : n.x) used[size_t(v.id)] = true;
  }
  for (const Graph::Node& n : nodes) {
    const bool listed =
        std::any_of(graph_.outputs().begin(), graph_.outputs().end(), [&](Value v) { return v.id == n.y.id; });
    if (!used[size_t(n.y.id)] && !listed) graph_.output(n.y);
  }
  return shapes;
}

bool Program::can_replace(const Graph::Node& node, int input, const Layout& l, const std::vector<Shape>& shapes) {
  const size_t x = size_t(node.x[size_t(input)].id), y = size_t(node.y.id);
  // A layer that takes the same value twice may read it as the other input after it wrote y there.
  const auto uses = std::count_if(node.x.begin(), node.x.end(), [&](Value v) { return size_t(v.id) == x; });
  return uses == 1 && !l.fixed[x] && shapes[x] == shapes[y];
}

Program::Layout Program::lay_out(const std::vector<Shape>& shapes) {
  const auto& nodes = graph_.nodes();
  const Clock clock{int(nodes.size())};
  Tenants tenants;
  const size_t compute_size = size_of(options_.compute);
  Layout l;
  l.value_at.assign(shapes.size(), kNone);
  l.gradient_at.assign(shapes.size(), kNone);
  l.scratch_at.assign(nodes.size(), kNone);
  l.backward_scratch_at.assign(nodes.size(), kNone);
  l.saved_at.resize(nodes.size());
  l.types.assign(shapes.size(), options_.compute);
  l.fixed.assign(shapes.size(), false);

  for (const Graph::Input& in : graph_.inputs()) {
    const size_t v = size_t(in.value.id);
    l.types[v] = in.dtype.value_or(options_.compute);
    l.value_at[v] = tenants.add(size_t(in.shape.numel()) * size_of(l.types[v]), -1, clock.end());
    l.fixed[v] = true;
  }
  for (Value v : graph_.outputs()) l.fixed[size_t(v.id)] = true;

  std::vector<int> last(shapes.size(), -1);
  for (size_t i = 0; i < nodes.size(); ++i) {
    const size_t y = size_t(nodes[i].y.id);
    last[y] = std::max(last[y], clock.forward(i));
    if (bound_[i].backward && bound_[i].spec.keep_y) last[y] = std::max(last[y], clock.backward(i));
    for (size_t k = 0; k < nodes[i].x.size(); ++k) {
      int& until = last[size_t(nodes[i].x[k].id)];
      until = std::max(until, clock.forward(i));
      if (bound_[i].backward && (bound_[i].spec.keep_x >> k & 1)) until = std::max(until, clock.backward(i));
    }
  }
  for (Value v : graph_.outputs()) last[size_t(v.id)] = clock.end();

  for (size_t i = 0; i < nodes.size(); ++i) {
    const Spec& spec = bound_[i].spec;
    const size_t y = size_t(nodes[i].y.id);
    const size_t place = spec.inplace < 0 ? kNone : l.value_at[size_t(nodes[i].x[size_t(spec.inplace)].id)];
    if (place != kNone && can_replace(nodes[i], spec.inplace, l, shapes) && tenants[place].last == clock.forward(i)) {
      l.value_at[y] = place;
      tenants[l.value_at[y]].last = last[y];
    } else {
      l.value_at[y] = tenants.add(size_t(spec.y.numel()) * compute_size, clock.forward(i), last[y]);
    }
    const int kept = bound_[i].backward ? clock.backward(i) : clock.forward(i);
    for (const Slot& slot : spec.saved) {
      l.saved_at[i].push_back(tenants.add(size_t(slot.shape.numel()) * size_of(slot.dtype), clock.forward(i), kept));
    }
    if (spec.scratch) l.scratch_at[i] = tenants.add(spec.scratch, clock.forward(i), clock.forward(i));
    if (spec.backward_scratch && bound_[i].backward)
      l.backward_scratch_at[i] = tenants.add(spec.backward_scratch, clock.backward(i), clock.backward(i));
  }

  // Gradients: born when the first consumer's backward writes (an output's: at the loss), dead after the producer's
  // backward.
  std::vector<int> born(shapes.size(), clock.end());
  for (size_t i = nodes.size(); i-- > 0;) {
    if (!bound_[i].backward) continue;
    for (Value v : nodes[i].x) born[size_t(v.id)] = std::min(born[size_t(v.id)], clock.backward(i));
  }
  for (Value v : graph_.outputs()) born[size_t(v.id)] = clock.loss();
  std::vector<int> producer(shapes.size(), -1);
  for (size_t i = 0; i < nodes.size(); ++i) producer[size_t(nodes[i].y.id)] = int(i);
  for (size_t v = 0; v < shapes.size(); ++v) {
    if (!needs_gradient_[v]) continue;
    const int dead = producer[v] >= 0 ? clock.backward(size_t(producer[v])) : clock.end();
    l.gradient_at[v] = tenants.add(size_t(shapes[v].numel()) * compute_size, std::min(born[v], dead), dead);
  }

  l.placement = place(tenants.all());
  return l;
}

void Program::bind(const std::vector<Shape>& shapes, const Layout& l) {
  const auto& nodes = graph_.nodes();
  arena_ = Buffer(stream_->place(), l.placement.total);
  const auto view = [&](size_t tenant, Shape shape, DType type) {
    return arena_.view(shape, type, l.placement.offsets[tenant]);
  };
  std::vector<Tensor> tensors(shapes.size());
  values_.assign(shapes.size(), {});
  gradients_.assign(shapes.size(), {});
  for (size_t v = 0; v < shapes.size(); ++v) {
    if (l.value_at[v] != kNone) tensors[v] = view(l.value_at[v], shapes[v], l.types[v]);
    if (l.fixed[v]) values_[v] = tensors[v];
    if (l.gradient_at[v] != kNone) gradients_[v] = view(l.gradient_at[v], shapes[v], options_.compute);
  }
  std::vector<bool> written(shapes.size(), false);
  for (Value v : graph_.outputs()) written[size_t(v.id)] = true;
  for (size_t i = nodes.size(); i-- > 0;) {
    Bound& b = bound_[i];
    b.y = tensors[size_t(nodes[i].y.id)];
    if (b.backward) b.dy = gradients_[size_t(nodes[i].y.id)];
    for (Value v : nodes[i].x) {
      b.x.push_back(tensors[size_t(v.id)]);
      const bool wanted = b.backward && needs_gradient_[size_t(v.id)];
      // An ignored one has a shape but no data: a join counts channels.
      b.dx.push_back(wanted ? gradients_[size_t(v.id)] : Tensor{nullptr, shapes[size_t(v.id)], options_.compute});
      b.dx_mode.push_back(!wanted                 ? GradMode::ignore
                          : written[size_t(v.id)] ? GradMode::accumulate
                                                  : GradMode::overwrite);
      if (wanted) written[size_t(v.id)] = true;
    }
    for (size_t k = 0; k < b.spec.saved.size(); ++k) {
      b.saved.push_back(view(l.saved_at[i][k], b.spec.saved[k].shape, b.spec.saved[k].dtype));
    }
    const auto bytes_at = [&](size_t tenant, size_t bytes) {
      return tenant == kNone ? Tensor{} : raw_bytes(view(tenant, {}, DType::u8).data, bytes);
    };
    b.scratch = bytes_at(l.scratch_at[i], b.spec.scratch);
    b.backward_scratch = bytes_at(l.backward_scratch_at[i], b.spec.backward_scratch);
  }
}

size_t Program::packed_bytes() const {
  size_t bytes = 0;
  for (const Bound& b : bound_) bytes += (b.spec.packed + 255) / 256 * 256;
  return bytes;
}

void Program::bind_params() {
  packed_ = Buffer(stream_->place(), packed_bytes());
  size_t packed = 0, next = 0;
  for (Bound& b : bound_) {
    for (size_t k = 0; k < b.spec.params.size(); ++k) {
      const Param& p = params_->all()[next++];
      b.w.push_back(p.shadow ? p.shadow : p.value);
      b.dw.push_back(p.grad);
      b.dw_first.push_back(p.trainable ? GradMode::overwrite : GradMode::ignore);
      b.dw_more.push_back(p.trainable ? GradMode::accumulate : GradMode::ignore);
    }
    if (b.spec.packed) {
      b.packed = raw_bytes(static_cast<char*>(packed_.data()) + packed, b.spec.packed);
      packed += (b.spec.packed + 255) / 256 * 256;
    }
  }
}

}  // namespace telltale
