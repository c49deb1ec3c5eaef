// Element-wise kernels over chunks: one source for both devices.
#include "kernels/device/launch.h"
#include "kernels/parts/chunk.h"
#include "kernels/parts/math.h"
#include "kernels/pointwise.h"

namespace telltale {
namespace {

template <Act kAct>
struct ActTag {
  static constexpr Act act = kAct;
};
/// Calls f(ActTag<act>{}): the inner loops then have no switch and fill vector registers.
template <class F>
void visit_act(Act act, F&& f) {
  switch (act) {
    case Act::none: return f(ActTag<Act::none>{});
    case Act::relu: return f(ActTag<Act::relu>{});
    case Act::elu: return f(ActTag<Act::elu>{});
    case Act::sigmoid: return f(ActTag<Act::sigmoid>{});
    case Act::tanh: return f(ActTag<Act::tanh>{});
  }
}

void check_like(const char* op, const Tensor& t, const Tensor& x) {
  TT_CHECK(t && t.shape == x.shape && t.dtype == x.dtype, ShapeError, op, ": ", to_string(t.shape), " of ",
           name_of(t.dtype), " does not fit ", to_string(x.shape), " of ", name_of(x.dtype));
}

template <class T, Act kAct>
struct Activation {
  FlatChunks chunks;
  const T* x;
  T* y;
  bool aligned;
  TT_HD void operator()(int64_t i) const {
    const int64_t o = chunks.offset(i);
    const int n = chunks.size(i);
    Chunk<acc_t<T>> v = load_chunk(x + o, n, aligned);
    each_in_chunk([&](int k) { v[k] = activate(kAct, v[k]); });
    store_chunk(y + o, v, n, aligned);
  }
};

template <class T, Act kAct>
struct ActivationGradient {
  FlatChunks chunks;
  const T *y, *dy;
  T* dx;
  bool aligned, accumulate;
  TT_HD void operator()(int64_t i) const {
    const int64_t o = chunks.offset(i);
    const int n = chunks.size(i);
    Chunk<acc_t<T>> g = load_chunk(dy + o, n, aligned);
    const Chunk<acc_t<T>> v = load_chunk(y + o, n, aligned);
    each_in_chunk([&](int k) { g[k] *= activation_gradient(kAct, v[k]); });
    store_gradient(dx + o, g, n, aligned, accumulate);
  }
};

template <class T, Act kAct>
struct Sum {
  FlatChunks chunks;
  const T *a, *b;
  T* y;
  bool aligned;
  TT_HD void operator()(int64_t i) const {
    const int64_t o = chunks.offset(i);
    const int n = chunks.size(i);
    Chunk<acc_t<T>> v = load_chunk(a + o, n, aligned);
    const Chunk<acc_t<T>> w = load_chunk(b + o, n, aligned);
    each_in_chunk([&](int k) { v[k] = activate(kAct, v[k] + w[k]); });
    store_chunk(y + o, v, n, aligned);
  }
};

template <class From, class To>
struct GradientSum {
  FlatChunks chunks;
  const From* from;
  To* to;
  bool aligned, accumulate;
  TT_HD void operator()(int64_t i) const {
    const int64_t o = chunks.offset(i);
    const int n = chunks.size(i);
    const Chunk<acc_t<From>> v = load_chunk(from + o, n, aligned);
    Chunk<acc_t<To>> w;
    each_in_chunk([&](int k) { w[k] = acc_t<To>(v[k]); });
    store_gradient(to + o, w, n, aligned, accumulate);
  }
};

template <class T>
struct Blend {
  RowChunks chunks;
  const T *a, *b, *m;
  T* y;
  bool aligned;
  TT_HD void operator()(int64_t i) const {
    using A = acc_t<T>;
    const RowChunks::At at = chunks.at(i);
    const int64_t o = at.row * chunks.c + at.c;
    const A mask = load(m[at.row]);
    Chunk<A> v = load_chunk(a + o, at.size, aligned);
    const Chunk<A> w = load_chunk(b + o, at.size, aligned);
    each_in_chunk([&](int k) { v[k] = v[k] * (A(1) - mask) + w[k] * mask; });
    store_chunk(y + o, v, at.size, aligned);
  }
};

template <class T>
struct BlendGradient {
  RowChunks chunks;
  const T *dy, *m;
  T *da, *db;
  bool aligned, da_accumulate, db_accumulate;
  TT_HD void operator()(int64_t i) const {
    using A = acc_t<T>;
    const RowChunks::At at = chunks.at(i);
    const int64_t o = at.row * chunks.c + at.c;
    const A mask = load(m[at.row]);
    const Chunk<A> g = load_chunk(dy + o, at.size, aligned);
    Chunk<A> v;
    if (da) {
      each_in_chunk([&](int k) { v[k] = g[k] * (A(1) - mask); });
      store_gradient(da + o, v, at.size, aligned, da_accumulate);
    }
    if (db) {
      each_in_chunk([&](int k) { v[k] = g[k] * mask; });
      store_gradient(db + o, v, at.size, aligned, db_accumulate);
    }
  }
};

void check_mask(const Tensor& m, const Tensor& x) {
  const Shape s = x.shape;
  TT_CHECK(m && m.shape == (Shape{s.n, s.h, s.w, 1}) && m.dtype == x.dtype, ShapeError, "blend: the mask must be [",
           s.n, ",", s.h, ",", s.w, ",1] of ", name_of(x.dtype), ", got ", to_string(m.shape), " of ",
           name_of(m.dtype));
}

}  // namespace

void activation_forward(Stream& s, Tensor x, Tensor y, Act act) {
  check_like("activation", y, x);
  visit_float(x.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    visit_act(act, [&](auto kind) {
      const FlatChunks chunks{x.shape.numel()};
      for_each(s, chunks.count(),
               Activation<T, decltype(kind)::act>{chunks, x.as<T>(), y.as<T>(), all_aligned({x.data, y.data})});
    });
  });
}

void activation_backward(Stream& s, Tensor y, Tensor dy, Tensor dx, Act act, GradMode mode) {
  if (mode == GradMode::ignore) return;
  check_like("activation", dy, y);
  check_like("activation", dx, y);
  visit_float(y.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    visit_act(act, [&](auto kind) {
      const FlatChunks chunks{y.shape.numel()};
      for_each(s, chunks.count(),
               ActivationGradient<T, decltype(kind)::act>{chunks, y.as<T>(), dy.as<T>(), dx.as<T>(),
                                                          all_aligned({y.data, dy.data, dx.data}),
                                                          mode == GradMode::accumulate});
    });
  });
}

void add_forward(Stream& s, Tensor a, Tensor b, Tensor y, Act act) {
  check_like("add", b, a);
  check_like("add", y, a);
  visit_float(a.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    visit_act(act, [&](auto kind) {
      const FlatChunks chunks{a.shape.numel()};
      for_each(
          s, chunks.count(),
          Sum<T, decltype(kind)::act>{chunks, a.as<T>(), b.as<T>(), y.as<T>(), all_aligned({a.data, b.data, y.data})});
    });
  });
}

void add_gradient(Stream& s, Tensor from, Tensor to, GradMode mode) {
  if (mode == GradMode::ignore) return;
  TT_CHECK(from && to && from.shape.numel() == to.shape.numel(), ShapeError, "add_gradient: ", to_string(from.shape),
           " does not fit ", to_string(to.shape));
  visit_float(from.dtype, [&](auto from_tag) {
    visit_float(to.dtype, [&](auto to_tag) {
      using From = typename decltype(from_tag)::type;
      using To = typename decltype(to_tag)::type;
      const FlatChunks chunks{from.shape.numel()};
      for_each(s, chunks.count(),
               GradientSum<From, To>{chunks, from.as<From>(), to.as<To>(), all_aligned({from.data, to.data}),
                                     mode == GradMode::accumulate});
    });
  });
}

void blend_forward(Stream& s, const BlendArgs& a) {
  check_like("blend", a.b, a.a);
  check_like("blend", a.y, a.a);
  check_mask(a.m, a.a);
  visit_float(a.a.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    const RowChunks chunks(a.a.shape.rows(), a.a.shape.c);
    const bool aligned = chunks.c % kChunk == 0 && all_aligned({a.a.data, a.b.data, a.y.data});
    for_each(s, chunks.count(), Blend<T>{chunks, a.a.as<T>(), a.b.as<T>(), a.m.as<T>(), a.y.as<T>(), aligned});
  });
}

void blend_backward(Stream& s, const BlendArgs& a) {
  const bool wants_da = a.da && a.da_mode != GradMode::ignore, wants_db = a.db && a.db_mode != GradMode::ignore;
  if (!wants_da && !wants_db) return;
  if (wants_da) check_like("blend", a.da, a.dy);
  if (wants_db) check_like("blend", a.db, a.dy);
  check_mask(a.m, a.dy);
  visit_float(a.dy.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    const RowChunks chunks(a.dy.shape.rows(), a.dy.shape.c);
    const bool aligned = chunks.c % kChunk == 0 && all_aligned({a.dy.data, a.da.data, a.db.data});
    for_each(s, chunks.count(),
             BlendGradient<T>{chunks, a.dy.as<T>(), a.m.as<T>(), wants_da ? a.da.as<T>() : nullptr,
                              wants_db ? a.db.as<T>() : nullptr, aligned, a.da_mode == GradMode::accumulate,
                              a.db_mode == GradMode::accumulate});
  });
}

}  // namespace telltale
