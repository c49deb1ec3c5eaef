#include "engine/onnx.h"

#include "base/check.h"
#include "kernels/device/half.h"

namespace telltale {
namespace {

// AttributeProto.AttributeType.
enum AttributeKind : int64_t { kFloat = 1, kInt = 2, kString = 3, kInts = 7 };

ProtoMessage attribute(const OnnxGraph::Attribute& a) {
  ProtoMessage m;
  m.text(1, a.first);
  if (const auto* f = std::get_if<float>(&a.second)) {
    m.real32(2, *f).integer(20, kFloat);
  } else if (const auto* i = std::get_if<int64_t>(&a.second)) {
    m.integer(3, *i).integer(20, kInt);
  } else if (const auto* s = std::get_if<std::string>(&a.second)) {
    m.text(4, *s).integer(20, kString);
  } else {
    m.integers(8, std::get<std::vector<int64_t>>(a.second)).integer(20, kInts);
  }
  return m;
}

template <class T>
std::string raw_bytes(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

}  // namespace

std::string OnnxGraph::fresh(const std::string& stem) {
  std::string name = stem;
  for (int i = 1; !names_.insert(name).second; ++i) name = cat(stem, "_", i);
  return name;
}

void OnnxGraph::edge(int field, const std::string& name, OnnxType type, const std::vector<Dimension>& dims) {
  ProtoMessage shape;
  for (const Dimension& d : dims) {
    ProtoMessage dimension;
    if (const auto* number = std::get_if<int64_t>(&d)) {
      dimension.integer(1, *number);
    } else {
      dimension.text(2, std::get<std::string>(d));
    }
    shape.message(1, dimension);
  }
  const ProtoMessage tensor_type = ProtoMessage().integer(1, int64_t(type)).message(2, shape);
  graph_.message(field, ProtoMessage().text(1, name).message(2, ProtoMessage().message(1, tensor_type)));
  names_.insert(name);
}

std::string OnnxGraph::add(const char* op, const std::vector<std::string>& x, Attributes attributes, std::string y) {
  if (y.empty()) {
    y = fresh(op);
  } else {
    names_.insert(y);
  }
  ProtoMessage node;
  for (const std::string& name : x) node.text(1, name);
  node.text(2, y).text(3, y).text(4, op);
  for (const Attribute& a : attributes) node.message(5, attribute(a));
  graph_.message(1, node);
  return y;
}

std::string OnnxGraph::tensor(std::vector<int64_t> dims, OnnxType type, const std::string& raw, std::string name) {
  constexpr size_t kSmall = 256;
  const std::string content =
      raw.size() <= kSmall ? cat(int64_t(type), " ", dims.size(), " ", raw_bytes(dims), raw) : "";
  if (name.empty() && known_.contains(content)) return known_[content];
  if (name.empty()) {
    name = fresh("constant");
    if (!content.empty()) known_[content] = name;
  } else {
    names_.insert(name);
  }
  graph_.message(5, ProtoMessage().integers(1, dims).integer(2, int64_t(type)).text(8, name).text(9, raw));
  return name;
}

std::string OnnxGraph::constant(std::vector<int64_t> dims, const std::vector<float>& values, std::string name) {
  if (!half_) return constant_f32(std::move(dims), values, std::move(name));
  const std::vector<f16> narrow(values.begin(), values.end());
  return tensor(std::move(dims), OnnxType::f16, raw_bytes(narrow), std::move(name));
}

std::string OnnxGraph::constant_f32(std::vector<int64_t> dims, const std::vector<float>& values, std::string name) {
  return tensor(std::move(dims), OnnxType::f32, raw_bytes(values), std::move(name));
}

std::string OnnxGraph::integers(const std::vector<int64_t>& values) {
  return tensor({int64_t(values.size())}, OnnxType::i64, raw_bytes(values), "");
}

std::string OnnxGraph::slice(const std::string& x, int64_t axis, int64_t begin, int64_t end, int64_t step) {
  return add("Slice", {x, integers({begin}), integers({end}), integers({axis}), integers({step})});
}

std::string OnnxGraph::shrunk(const std::string& x, const Shape& x_shape, int factor, bool aligned, std::string y) {
  if (!aligned) {
    const std::string rows = slice(x, 2, 0, kEnd, factor);
    return add("Slice", {rows, integers({0}), integers({kEnd}), integers({3}), integers({factor})}, {}, std::move(y));
  }
  needs_fixed_size();
  const auto sources = [&](int size) {  // round(i·(size − 1)/(small − 1)), halves upward
    const int64_t small = size / factor;
    std::vector<int64_t> from;
    for (int64_t i = 0; i < small; ++i)
      from.push_back(small == 1 ? 0 : (2 * i * (size - 1) + small - 1) / (2 * (small - 1)));
    return integers(from);
  };
  const std::string rows = add("Gather", {x, sources(x_shape.h)}, {{"axis", int64_t(2)}});
  return add("Gather", {rows, sources(x_shape.w)}, {{"axis", int64_t(3)}}, std::move(y));
}

std::string OnnxGraph::cast(const std::string& x, OnnxType type, std::string y) {
  return add("Cast", {x}, {{"to", int64_t(type)}}, std::move(y));
}

std::string OnnxGraph::activation(const std::string& x, Act act, const std::string& y) {
  switch (act) {
    case Act::relu: return add("Relu", {x}, {}, y);
    case Act::elu: return add("Elu", {x}, {}, y);
    case Act::sigmoid: return add("Sigmoid", {x}, {}, y);
    case Act::tanh: return add("Tanh", {x}, {}, y);
    default: return add("Identity", {x}, {}, y);
  }
}

std::string OnnxGraph::convolution(const std::string& x, const std::string& w, const std::string& bias, int size,
                                   const ConvGeometry& g, std::string y) {
  const int64_t before = g.pad, after = g.pad + g.more_pad, stride = g.stride, dilation = g.dilation, side = size;
  std::vector<std::string> operands = {x, w};
  if (!bias.empty()) operands.push_back(bias);
  return add("Conv", operands,
             {{"kernel_shape", std::vector{side, side}},
              {"strides", std::vector{stride, stride}},
              {"pads", std::vector{before, before, after, after}},
              {"dilations", std::vector{dilation, dilation}}},
             std::move(y));
}

std::string OnnxGraph::model(const std::string& name, const std::map<std::string, std::string>& metadata) const {
  constexpr int64_t kFormat = 8;  // the version of onnx.proto that came with opset 17
  ProtoMessage graph = graph_, m;
  graph.text(2, name);
  m.integer(1, kFormat).text(2, "Telltale").message(7, graph);
  m.message(8, ProtoMessage().text(1, "").integer(2, kOpset));
  for (const auto& [key, value] : metadata) m.message(14, ProtoMessage().text(1, key).text(2, value));
  return m.bytes();
}

void Layer::to_onnx(OnnxGraph&, const OnnxNode&) const {
  throw Error(cat(name, " (", describe(), ") has no form in ONNX: this net is not exported"));
}

}  // namespace telltale
