#include "tests/fake_gpu/cudnn_operations.h"

#include <cmath>
#include <limits>

namespace telltale::fake_gpu {
namespace {

using Values = std::vector<float>;

std::optional<GraphTensor> tensor_of(const NodePtr& node) {
  if (!node) return std::nullopt;
  const auto d = node->all<int64_t>(CUDNN_ATTR_TENSOR_DIMENSIONS), s = node->all<int64_t>(CUDNN_ATTR_TENSOR_STRIDES);
  if (d.size() != 4 || s.size() != 4) return std::nullopt;
  GraphTensor t{.uid = node->one<int64_t>(CUDNN_ATTR_TENSOR_UNIQUE_ID), .n = d[0], .h = d[2], .w = d[3], .c = d[1]};
  t.alignment = node->one<int64_t>(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, 1);
  t.is_virtual = node->one<char>(CUDNN_ATTR_TENSOR_IS_VIRTUAL) != 0;
  const auto type = node->one<cudnnDataType_t>(CUDNN_ATTR_TENSOR_DATA_TYPE);
  if (type != CUDNN_DATA_FLOAT && type != CUDNN_DATA_BFLOAT16 && type != CUDNN_DATA_HALF) return std::nullopt;
  t.type = type == CUDNN_DATA_FLOAT ? Type::f32 : type == CUDNN_DATA_HALF ? Type::f16 : Type::bf16;
  const bool is_nhwc = s[1] == 1 && s[3] == t.c && s[2] == t.w * t.c && s[0] == t.h * t.w * t.c;
  return is_nhwc ? std::optional(t) : std::nullopt;
}

/// What an operation of each type reads and writes, by attribute.
struct Names {
  std::vector<int> in, out;
};
Names names_of(const Node& operation, cudnnPointwiseMode_t mode) {
  switch (operation.type) {
    case CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR:
      return {{CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W},
              {CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y}};
    case CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR:
      return {{CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W},
              {CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX}};
    case CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR:
      return {{CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY},
              {CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW}};
    case CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR:
      if (mode == CUDNN_POINTWISE_RELU_BWD)
        return {{CUDNN_ATTR_OPERATION_POINTWISE_XDESC, CUDNN_ATTR_OPERATION_POINTWISE_DYDESC},
                {CUDNN_ATTR_OPERATION_POINTWISE_DXDESC}};
      if (mode == CUDNN_POINTWISE_ADD || mode == CUDNN_POINTWISE_SUB || mode == CUDNN_POINTWISE_MUL)
        return {{CUDNN_ATTR_OPERATION_POINTWISE_XDESC, CUDNN_ATTR_OPERATION_POINTWISE_BDESC},
                {CUDNN_ATTR_OPERATION_POINTWISE_YDESC}};
      return {{CUDNN_ATTR_OPERATION_POINTWISE_XDESC}, {CUDNN_ATTR_OPERATION_POINTWISE_YDESC}};
    case CUDNN_BACKEND_OPERATION_GEN_STATS_DESCRIPTOR:
      return {{CUDNN_ATTR_OPERATION_GENSTATS_XDESC},
              {CUDNN_ATTR_OPERATION_GENSTATS_SUMDESC, CUDNN_ATTR_OPERATION_GENSTATS_SQSUMDESC}};
    case CUDNN_BACKEND_OPERATION_BN_BWD_WEIGHTS_DESCRIPTOR:
      return {{CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_MEAN_DESC, CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_INVSTD_DESC,
               CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_X_DESC, CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_DY_DESC},
              {CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_DBN_SCALE_DESC, CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_DBN_BIAS_DESC,
               CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_EQ_DY_SCALE_DESC,
               CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_EQ_X_SCALE_DESC, CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_EQ_BIAS}};
    default: return {};
  }
}

/// The convolution's description and its beta, by attribute; none of other operations.
void read_convolution(const Node& operation, GraphOperation& o) {
  const bool forward = operation.type == CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR;
  const bool data = operation.type == CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR;
  const NodePtr g = operation.node(forward ? CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC
                                   : data  ? CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC
                                           : CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC);
  if (!g) return;
  o.stride = g->one<int64_t>(CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES);
  o.pad = g->one<int64_t>(CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS);
  o.dilation = g->one<int64_t>(CUDNN_ATTR_CONVOLUTION_DILATIONS);
  o.beta = operation.one<float>(forward ? CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA
                                : data  ? CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA
                                        : CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA);
}

/// One computation over a graph's values.
class Computation {
 public:
  Computation(const OperationGraph& g, const std::map<int64_t, void*>& memory, bool tf32)
      : graph_(g), memory_(memory), tf32_(tf32) {}

  void run(const GraphOperation& o) {
    switch (o.type) {
      case CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR: return forward(o);
      case CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR: return input_gradient(o);
      case CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR: return filter_gradient(o);
      case CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR: return pointwise(o);
      case CUDNN_BACKEND_OPERATION_GEN_STATS_DESCRIPTOR: return statistics(o);
      default: return norm_weights(o);
    }
  }

 private:
  const GraphTensor& shape(int64_t uid) const { return graph_.tensors.at(uid); }

  const Values& read(int64_t uid) {
    const auto [at, is_new] = values_.try_emplace(uid);
    if (is_new) {
      const GraphTensor& t = shape(uid);
      at->second.resize(size_t(t.numel()));
      for (int64_t i = 0; i < t.numel(); ++i) at->second[size_t(i)] = number(t.type, memory_.at(uid), i);
    }
    return at->second;
  }
  /// A convolution's operand; what an operation before it made is rounded to the type of the other one, since a tensor
  /// core reads both in it.
  Values operand(int64_t uid, int64_t other) {
    Values v = read(uid);
    const Type type = shape(other).type;
    if (shape(uid).is_virtual && type != Type::f32) {
      for (float& x : v) x = type == Type::bf16 ? float(load(bf16(x))) : float(load(f16(x)));
    }
    if (tf32_)
      for (float& x : v) x = as_tf32(x);
    return v;
  }
  void write(int64_t uid, Values v) {
    const GraphTensor& t = shape(uid);
    if (!t.is_virtual) {
      for (int64_t i = 0; i < t.numel(); ++i) {
        set_number(t.type, memory_.at(uid), i, v[size_t(i)]);
        v[size_t(i)] = number(t.type, memory_.at(uid), i);
      }
    }
    values_[uid] = std::move(v);
  }
  /// A convolution's result, added to what is there where it is asked for.
  void write_sum(const GraphOperation& o, Values v) {
    const int64_t uid = o.out[0];
    if (o.beta != 0) {
      const Values& old = read(uid);
      for (size_t i = 0; i < v.size(); ++i) v[i] += o.beta * old[i];
    }
    write(uid, std::move(v));
  }

  /// Calls f(place in x, place in w, place in y), each of its first channel, for every tap of the images and output
  /// rows that `wanted` says.
  template <class F>
  static void each_tap(const GraphOperation& o, const GraphTensor& x, const GraphTensor& w, const GraphTensor& y,
                       int64_t image, const F& f) {
    for (int64_t row = 0; row < y.h; ++row) {
      for (int64_t column = 0; column < y.w; ++column) {
        for (int64_t r = 0; r < w.h; ++r) {
          const int64_t h = row * o.stride - o.pad + r * o.dilation;
          if (h < 0 || h >= x.h) continue;
          for (int64_t s = 0; s < w.w; ++s) {
            const int64_t v = column * o.stride - o.pad + s * o.dilation;
            if (v < 0 || v >= x.w) continue;
            f(((image * x.h + h) * x.w + v) * x.c, (r * w.w + s) * w.c, ((image * y.h + row) * y.w + column) * y.c);
          }
        }
      }
    }
  }
  static int64_t filter_size(const GraphTensor& w) { return w.h * w.w * w.c; }

  void forward(const GraphOperation& o) {
    const GraphTensor &x = shape(o.in[0]), &w = shape(o.in[1]), &y = shape(o.out[0]);
    const Values vx = operand(o.in[0], o.in[1]), vw = operand(o.in[1], o.in[0]);
    Values vy(size_t(y.numel()), 0.f);
    const int64_t per_filter = filter_size(w);
#pragma omp parallel for
    for (int64_t n = 0; n < y.n; ++n) {
      each_tap(o, x, w, y, n, [&](int64_t at_x, int64_t at_w, int64_t at_y) {
        for (int64_t k = 0; k < y.c; ++k) {
          const float *a = vx.data() + at_x, *b = vw.data() + k * per_filter + at_w;
          float sum = 0;
#pragma omp simd reduction(+ : sum)
          for (int64_t c = 0; c < x.c; ++c) sum += a[c] * b[c];
          vy[size_t(at_y + k)] += sum;
        }
      });
    }
    write_sum(o, std::move(vy));
  }

  void input_gradient(const GraphOperation& o) {
    const GraphTensor &y = shape(o.in[0]), &w = shape(o.in[1]), &x = shape(o.out[0]);
    const Values vy = operand(o.in[0], o.in[1]), vw = operand(o.in[1], o.in[0]);
    Values vx(size_t(x.numel()), 0.f);
    const int64_t per_filter = filter_size(w);
#pragma omp parallel for
    for (int64_t n = 0; n < y.n; ++n) {
      each_tap(o, x, w, y, n, [&](int64_t at_x, int64_t at_w, int64_t at_y) {
        for (int64_t k = 0; k < y.c; ++k) {
          const float dy = vy[size_t(at_y + k)], *b = vw.data() + k * per_filter + at_w;
          float* a = vx.data() + at_x;
#pragma omp simd
          for (int64_t c = 0; c < x.c; ++c) a[c] += dy * b[c];
        }
      });
    }
    write_sum(o, std::move(vx));
  }

  void filter_gradient(const GraphOperation& o) {
    const GraphTensor &x = shape(o.in[0]), &y = shape(o.in[1]), &w = shape(o.out[0]);
    const Values vx = operand(o.in[0], o.in[1]), vy = operand(o.in[1], o.in[0]);
    Values vw(size_t(w.numel()), 0.f);
    const int64_t per_filter = filter_size(w);
#pragma omp parallel for
    for (int64_t k = 0; k < w.n; ++k) {
      for (int64_t n = 0; n < y.n; ++n) {
        each_tap(o, x, w, y, n, [&](int64_t at_x, int64_t at_w, int64_t at_y) {
          const float dy = vy[size_t(at_y + k)], *a = vx.data() + at_x;
          float* b = vw.data() + k * per_filter + at_w;
#pragma omp simd
          for (int64_t c = 0; c < x.c; ++c) b[c] += dy * a[c];
        });
      }
    }
    write_sum(o, std::move(vw));
  }

  static float apply(cudnnPointwiseMode_t mode, float a, float b) {
    switch (mode) {
      case CUDNN_POINTWISE_ADD: return a + b;
      case CUDNN_POINTWISE_SUB: return a - b;
      case CUDNN_POINTWISE_MUL: return a * b;
      case CUDNN_POINTWISE_RELU_FWD: return a > 0 || std::isnan(a) ? a : 0;
      case CUDNN_POINTWISE_RELU_BWD: return a > 0 ? b : 0;
      case CUDNN_POINTWISE_ELU_FWD: return a > 0 ? a : std::expm1(a);
      case CUDNN_POINTWISE_SIGMOID_FWD: return 1 / (1 + std::exp(-a));
      case CUDNN_POINTWISE_TANH_FWD: return std::tanh(a);
      default: return a;
    }
  }
  void pointwise(const GraphOperation& o) {
    const GraphTensor& y = shape(o.out[0]);
    const Values& a = read(o.in[0]);
    const Values& b = o.in.size() > 1 ? read(o.in[1]) : a;
    Values out(size_t(y.numel()));
    // An operand may be one number a channel.
    const auto at = [&](const Values& v, size_t i) { return v[v.size() == out.size() ? i : i % size_t(y.c)]; };
    for (size_t i = 0; i < out.size(); ++i) out[i] = apply(o.mode, at(a, i), at(b, i));
    write(o.out[0], std::move(out));
  }

  void statistics(const GraphOperation& o) {
    const Values& x = read(o.in[0]);
    const size_t channels = size_t(shape(o.in[0]).c);
    std::vector<double> sums(channels), squares(channels);
    for (size_t i = 0; i < x.size(); ++i) {
      sums[i % channels] += x[i];
      squares[i % channels] += double(x[i]) * x[i];
    }
    write(o.out[0], Values(sums.begin(), sums.end()));
    write(o.out[1], Values(squares.begin(), squares.end()));
  }

  void norm_weights(const GraphOperation& o) {
    const Values &mean = read(o.in[0]), &rstd = read(o.in[1]), &x = read(o.in[2]), &dy = read(o.in[3]);
    const size_t channels = mean.size();
    std::vector<double> dgamma(channels), dbeta(channels);
    for (size_t i = 0; i < x.size(); ++i) {
      const size_t c = i % channels;
      dgamma[c] += double(dy[i]) * (double(x[i]) - mean[c]) * rstd[c];
      dbeta[c] += dy[i];
    }
    write(o.out[0], Values(dgamma.begin(), dgamma.end()));
    write(o.out[1], Values(dbeta.begin(), dbeta.end()));
    const Values nothing(channels, std::numeric_limits<float>::quiet_NaN());  // nobody may read these
    for (size_t i = 2; i < o.out.size(); ++i) write(o.out[i], nothing);
  }

  const OperationGraph& graph_;
  const std::map<int64_t, void*>& memory_;
  const bool tf32_;
  std::map<int64_t, Values> values_;
};

}  // namespace

std::optional<OperationGraph> graph_of(const Node& graph) {
  OperationGraph g;
  std::map<int64_t, bool> written;
  const auto add = [&](const Node& operation, const std::vector<int>& names, std::vector<int64_t>& uids) {
    for (int name : names) {
      const std::optional<GraphTensor> t = tensor_of(operation.node(name));
      if (!t) return false;
      const auto [at, is_new] = g.tensors.try_emplace(t->uid, *t);
      if (!is_new && at->second.numel() != t->numel()) return false;
      uids.push_back(t->uid);
    }
    return true;
  };
  for (const NodePtr& node : graph.nodes(CUDNN_ATTR_OPERATIONGRAPH_OPS)) {
    GraphOperation o;
    o.type = node->type;
    if (const NodePtr p = node->node(CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR))
      o.mode = p->one<cudnnPointwiseMode_t>(CUDNN_ATTR_POINTWISE_MODE);
    const Names names = names_of(*node, o.mode);
    read_convolution(*node, o);
    if (names.in.empty() || !add(*node, names.in, o.in) || !add(*node, names.out, o.out)) return std::nullopt;
    for (int64_t uid : o.in)
      if (g.tensors.at(uid).is_virtual && !written[uid]) return std::nullopt;
    for (int64_t uid : o.out) written[uid] = true;
    g.operations.push_back(std::move(o));
  }
  return g;
}

void compute(const OperationGraph& graph, const std::map<int64_t, void*>& memory, bool tf32) {
  Computation computation(graph, memory, tf32);
  for (const GraphOperation& o : graph.operations) computation.run(o);
}

}  // namespace telltale::fake_gpu
