#include "engine/params.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "base/hash.h"
#include "engine/graph.h"
#include "kernels/device/host_values.h"
#include "kernels/device/philox.h"

namespace telltale {
namespace {

constexpr int64_t kAlign = 64;  // elements: every parameter starts on a cache line and a 16-byte vector

std::vector<double> initial(const ParamSpec& p, uint64_t seed) {
  std::vector<double> v(size_t(p.shape.numel()), p.init.kind == Init::Kind::one ? 1.0 : 0.0);
  if (p.init.kind == Init::Kind::zero || p.init.kind == Init::Kind::one) return v;
  const uint64_t stream = fnv1a(p.names.at(0));
  const bool normal = p.init.kind == Init::Kind::normal;
  const int64_t count = int64_t(v.size());
  // Counter-based: element i depends on i alone, so any number of threads draws the same net. VGG11 has 129 million to
  // draw.
#pragma omp parallel for
  for (int64_t i = 0; i < count; i += 4) {
    const Philox4 bits = philox(seed, uint64_t(i / 4), stream);
    float draw[4];
    for (int k = 0; k < 4; k += 2) {
      const float a = uniform01(bits.v[k]), b = uniform01(bits.v[k + 1]);
      const float radius = std::sqrt(-2 * std::log(1 - a)), angle = 2 * std::numbers::pi_v<float> * b;
      draw[k] = normal ? radius * std::cos(angle) : 2 * a - 1;
      draw[k + 1] = normal ? radius * std::sin(angle) : 2 * b - 1;
    }
    for (int64_t k = 0; k < std::min<int64_t>(4, count - i); ++k) v[size_t(i + k)] = p.init.scale * draw[k];
  }
  return v;
}

int64_t padded(const Shape& shape) { return (shape.numel() + kAlign - 1) / kAlign * kAlign; }

}  // namespace

size_t Params::bytes_for(const std::vector<std::pair<ParamSpec, bool>>& specs, DType compute, bool training) {
  const size_t master = size_of(accumulator_of(compute)),
               shadow = compute == accumulator_of(compute) ? 0 : size_of(compute);
  size_t bytes = 0;
  for (const auto& [spec, trains] : specs)  // a trained one has a gradient and two moments beside its master
    bytes += size_t(padded(spec.shape)) * (master * (trains && training ? 4 : 1) + shadow);
  return bytes;
}

std::vector<ParamSpec> parameter_specs(const Graph& graph, Stream& s) {
  std::vector<Shape> shapes(size_t(graph.value_count()));
  for (const Graph::Input& in : graph.inputs()) shapes[size_t(in.value.id)] = in.shape;
  std::vector<ParamSpec> specs;
  for (const Graph::Node& node : graph.nodes()) {
    std::vector<Shape> x;
    for (Value v : node.x) x.push_back(shapes[size_t(v.id)]);
    // As if in training: layers that only look at shapes then ask no library for packed filters.
    const PlanContext context{s, DType::f32, true, false, false};
    Spec spec = node.layer->plan(context, x);
    shapes[size_t(node.y.id)] = spec.y;
    std::move(spec.params.begin(), spec.params.end(), std::back_inserter(specs));
  }
  return specs;
}

Params::Params(Stream& s, const std::vector<std::pair<ParamSpec, bool>>& specs, DType compute, bool training,
               uint64_t seed) {
  const DType type = accumulator_of(compute);
  const bool shadowed = compute != type;
  int64_t trainable = 0, constant = 0;
  for (const auto& [spec, trains] : specs) {
    Param p{.spec = spec,
            .trainable = trains && training,
            .offset = 0,
            .value = {},
            .shadow = {},
            .grad = {},
            .m = {},
            .v = {}};
    TT_CHECK(!by_name_.count(spec.names.at(0)), ShapeError, "two parameters are called ", spec.names[0]);
    by_name_[spec.names[0]] = all_.size();
    all_.push_back(std::move(p));
  }
  const auto reserve = [](int64_t& total, const Shape& shape) {
    const int64_t at = total;
    total += padded(shape);
    return at;
  };
  // Backward order: the last layer's gradients are ready first, so a finished bucket is one slice from the front.
  for (auto p = all_.rbegin(); p != all_.rend(); ++p)
    p->offset = reserve(p->trainable ? trainable : constant, p->spec.shape);

  const size_t size = size_of(type);
  const auto make = [&](Buffer& b, int64_t count, DType t) {
    b = Buffer(s.place(), size_t(count) * size_of(t));
    Tensor whole = b.view({1, 1, 1, int(count)}, t);
    fill_zero(s, whole);
    return whole;
  };
  TT_CHECK(trainable < (int64_t(1) << 31) && constant < (int64_t(1) << 31), ShapeError, "more than 2^31 parameters");
  arena_.count = trainable;
  arena_.master = make(trainable_, trainable, type);
  make(constant_, constant, type);
  if (shadowed) {
    arena_.shadow = make(shadow_, trainable, compute);
    make(constant_shadow_, constant, compute);
  }
  if (training) {
    arena_.grad = make(grad_, trainable, type);
    arena_.m = make(m_, trainable, type);
    arena_.v = make(v_, trainable, type);
  }
  for (Param& p : all_) {
    const size_t at = size_t(p.offset);
    p.value = (p.trainable ? trainable_ : constant_).view(p.spec.shape, type, at * size);
    if (shadowed && !p.spec.keep_f32) {
      p.shadow = (p.trainable ? shadow_ : constant_shadow_).view(p.spec.shape, compute, at * size_of(compute));
    }
    if (p.trainable) {
      p.grad = grad_.view(p.spec.shape, type, at * size);
      p.m = m_.view(p.spec.shape, type, at * size);
      p.v = v_.view(p.spec.shape, type, at * size);
    }
    write(s, p, initial(p.spec, seed));
  }
}

const Param* Params::find(const std::string& name) const {
  const auto it = by_name_.find(name);
  return it == by_name_.end() ? nullptr : &all_[it->second];
}

std::vector<double> Params::read(Stream& s, const Param& p) const { return values_of(s, p.value); }

void Params::write(Stream& s, const Param& p, const std::vector<double>& v) {
  TT_CHECK(int64_t(v.size()) == p.spec.shape.numel(), ShapeError, p.spec.names[0], ": ", v.size(), " values for ",
           to_string(p.spec.shape));
  set_values(s, p.value, v);
}

void Params::copy_from(Stream& s, const Params& from) {
  for (const Param& p : all_) {
    const Param* o = from.find(p.spec.names[0]);
    TT_CHECK(o && o->spec.shape == p.spec.shape && o->value.dtype == p.value.dtype, ShapeError,
             "copying parameters: ", p.spec.names[0], " ", to_string(p.spec.shape),
             o ? " has another shape or type there" : " is not there");
    copy(s, p.value, o->value);
  }
}

}  // namespace telltale
