// Pooling against loops over windows in double; backward also against differences.
#include <cmath>
#include <limits>

#include "kernels/case/op_case.h"
#include "kernels/pool.h"

namespace telltale {
namespace {

enum class Kind { max, average, adaptive };
struct Setting {
  Kind kind;
  Shape x;
  int size = 2, stride = 2, pad = 0;
  int h = 0, w = 0;  ///< adaptive: y's size
  GradMode mode = GradMode::overwrite;
  bool relu = false;
  Shape y() const { return kind == Kind::adaptive ? Shape{x.n, h, w, x.c} : pool_output(x, size, stride, pad); }
  std::string op() const {
    return kind == Kind::max ? "max_pool" : kind == Kind::average ? "avg_pool" : "adaptive_avg_pool";
  }
  std::string name() const {
    static const char* const modes[] = {" ignore", "", " accumulate"};
    return cat(to_string(x), kind == Kind::adaptive ? cat(" to ", h, "x", w) : cat(" k", size, "s", stride, "p", pad),
               relu ? " relu" : "", modes[int(mode)]);
  }
};

using Vec = std::vector<double>;

/// First and one past the last input of output o's window, along one side.
std::pair<int, int> window(const Setting& z, int o, int in, int out) {
  if (z.kind == Kind::adaptive) {
    return {int(std::floor(double(o) * in / out)), int(std::ceil(double(o + 1) * in / out))};
  }
  const int first = o * z.stride - z.pad;
  return {std::max(0, first), std::min(in, first + z.size)};
}

/// Calls f(index in y, index in x, position in the window, pixels of the window) in row order.
template <class F>
void for_each_tap(const Setting& z, const F& f) {
  const Shape x = z.x, y = z.y();
  for (int n = 0; n < y.n; ++n) {
    for (int h = 0; h < y.h; ++h) {
      for (int w = 0; w < y.w; ++w) {
        const auto [top, bottom] = window(z, h, x.h, y.h);
        const auto [left, right] = window(z, w, x.w, y.w);
        for (int i = top; i < bottom; ++i) {
          for (int j = left; j < right; ++j) {
            const int position = (i - h * z.stride + z.pad) * z.size + j - w * z.stride + z.pad;
            for (int c = 0; c < x.c; ++c) {
              f(size_t(((int64_t(n) * y.h + h) * y.w + w) * y.c + c),
                size_t(((int64_t(n) * x.h + i) * x.w + j) * x.c + c), position, (bottom - top) * (right - left));
            }
          }
        }
      }
    }
  }
}

void forward_op(Stream& s, Kind kind, const PoolArgs& a) {
  if (kind == Kind::max) return max_pool_forward(s, a);
  if (kind == Kind::average) return avg_pool_forward(s, a);
  adaptive_avg_pool_forward(s, a);
}
void backward_op(Stream& s, Kind kind, const PoolArgs& a) {
  if (kind == Kind::max) return max_pool_backward(s, a);
  if (kind == Kind::average) return avg_pool_backward(s, a);
  adaptive_avg_pool_backward(s, a);
}

PoolArgs arguments(CaseRun& run, const Setting& z) {
  PoolArgs a;
  a.size = z.size;
  a.stride = z.stride;
  a.pad = z.pad;
  a.dx_mode = z.mode;
  a.act = z.relu ? Act::relu : Act::none;
  a.x = run.input(z.x);
  a.y = run.output(z.y());
  if (z.kind == Kind::max) a.argmax = run.output(z.y(), DType::u8);
  return a;
}

/// y and, for the maximum, its place.
void reference(const Setting& z, const Vec& x, Vec& y, Vec& argmax) {
  const size_t outputs = size_t(z.y().numel());
  y.assign(outputs, z.kind == Kind::max ? -INFINITY : 0);
  argmax.assign(outputs, -1);
  for_each_tap(z, [&](size_t o, size_t i, int position, int pixels) {
    if (z.kind != Kind::max) {
      y[o] += x[i] / pixels;
    } else if (argmax[o] < 0 || x[i] > y[o] || (std::isnan(x[i]) && !std::isnan(y[o]))) {
      y[o] = x[i];
      argmax[o] = position;
    }
  });
  for (size_t o = 0; z.relu && o < outputs; ++o) {
    if (!(y[o] > 0)) y[o] = 0, argmax[o] = kNoPosition;
  }
}

void check_forward(CaseRun& run, const Setting& z, const PoolArgs& a) {
  Vec y, argmax;
  reference(z, run.values(a.x), y, argmax);
  if (z.kind != Kind::max)
    return run.expect("y", a.y, y, size_of(run.dtype) == 2 ? 1 : 4 + std::sqrt(double(z.x.h * z.x.w)) / 4);
  run.expect("y", a.y, y, 0);
  run.expect("argmax", a.argmax, argmax, 0);
}

void forward(CaseRun& run, const Setting& z) {
  PoolArgs a = arguments(run, z);
  run.op(double(a.x.bytes() + a.y.bytes() + (a.argmax ? a.argmax.bytes() : 0)), double(z.x.numel()),
         [&] { forward_op(run.stream, z.kind, a); });
  if (!run.is_test()) return;
  check_forward(run, z, a);
  if (z.kind != Kind::max) return;
  // Ties, infinities and NaN: few values, so that windows hold equal ones.
  Vec x = run.values(a.x);
  const double odd[] = {0, 1, 1, std::numeric_limits<double>::quiet_NaN(), -INFINITY, INFINITY, -0.0, 2};
  for (double& v : x) v = odd[run.random.integer(0, 7)];
  run.assign(a.x, x);
  forward_op(run.stream, z.kind, a);
  check_forward(run, z, a);
  for (double& v : x) v = -INFINITY;
  run.assign(a.x, x);
  forward_op(run.stream, z.kind, a);
  check_forward(run, z, a);
  a.argmax = {};
  a.y = run.output(z.y());
  forward_op(run.stream, z.kind, a);
  run.expect("y without argmax", a.y, Vec(size_t(z.y().numel()), z.relu ? 0 : -INFINITY), 0);
}

void backward(CaseRun& run, const Setting& z) {
  PoolArgs a = arguments(run, z);
  forward_op(run.stream, z.kind, a);
  a.dy = run.input(z.y());
  a.dx = z.mode == GradMode::overwrite ? run.output(z.x) : run.input(z.x);
  Vec dx = run.is_test() ? run.values(a.dx) : Vec();
  run.op(double(a.dy.bytes() + a.dx.bytes() + (a.argmax ? a.argmax.bytes() : 0)), double(z.x.numel()),
         [&] { backward_op(run.stream, z.kind, a); });
  if (!run.is_test()) return;
  if (z.mode == GradMode::overwrite) std::fill(dx.begin(), dx.end(), 0.0);
  const Vec dy = run.values(a.dy);
  if (z.mode != GradMode::ignore) {
    Vec y, argmax;
    reference(z, run.values(a.x), y, argmax);
    for_each_tap(z, [&](size_t o, size_t i, int position, int pixels) {
      dx[i] += z.kind != Kind::max ? dy[o] / pixels : argmax[o] == position ? dy[o] : 0;
    });
  }
  // At most size² terms of an element, or, in 16 bits, one rounding.
  run.expect("dx", a.dx, dx, z.mode == GradMode::ignore ? 0 : size_of(run.dtype) == 2 ? 1 : 4 + z.size, 2);
  if (z.mode == GradMode::overwrite)
    run.gradient("dx", a.x, a.dx, a.y, a.dy, [&] { forward_op(run.stream, z.kind, a); });
}

const RegisterCases cases([](std::vector<OpCase>& to) {
  const auto sized = [](const CaseRun& run, Setting z) {
    z.x = run.sized(z.x);
    return z;
  };
  const auto add = [&](const Setting& z, bool bench = false) {
    const std::vector<DType> types = bench ? std::vector{DType::f32, DType::bf16} : kAllFloats;
    if (z.mode == GradMode::overwrite)
      to.push_back(
          {z.op() + "_forward", z.name(), types, [=](CaseRun& run) { forward(run, sized(run, z)); }, bench, !bench});
    to.push_back(
        {z.op() + "_backward", z.name(), types, [=](CaseRun& run) { backward(run, sized(run, z)); }, bench, !bench});
  };
  const Shape shapes[] = {{1, 5, 7, 1}, {2, 9, 6, 3}, {2, 7, 7, 17}, {1, 13, 11, 64}, {2, 15, 15, 8}};
  for (const Kind kind : {Kind::max, Kind::average}) {
    for (const Shape& x : shapes) {
      add({.kind = kind, .x = x});
      add({.kind = kind, .x = x, .size = 3, .stride = 2, .pad = 1});
      add({.kind = kind, .x = x, .size = 3, .stride = 2});
      add({.kind = kind, .x = x, .size = 3, .stride = 1, .pad = 1});
      add({.kind = kind, .x = x, .size = 2, .stride = 3, .pad = 1});
    }
    add({.kind = kind, .x = {1, 1, 1, 1}, .size = 1, .stride = 1});
    add({.kind = kind, .x = {1, 15, 16, 5}, .size = 15, .stride = 1});
    for (const GradMode mode : {GradMode::accumulate, GradMode::ignore})
      add({.kind = kind, .x = {2, 7, 7, 17}, .size = 3, .stride = 2, .pad = 1, .mode = mode});
    add({.kind = kind, .x = {24, 112, 112, 64}, .size = 3, .stride = 2, .pad = 1}, true);
  }
  for (const Shape& x : shapes) {
    add({.kind = Kind::max, .x = x, .size = 3, .stride = 2, .pad = 1, .relu = true});
    add({.kind = Kind::max, .x = x, .relu = true});
  }
  for (const int size : {2, 3})  // whole chunks, beyond which more pixels lie
    for (const int pad : {0, 1})
      add({.kind = Kind::max,
           .x = {3, 7, 10, 24},
           .size = size,
           .stride = 2,
           .pad = pad,
           .mode = GradMode::accumulate});
  for (const Shape& x : shapes) {
    add({.kind = Kind::adaptive, .x = x, .h = 1, .w = 1});
    add({.kind = Kind::adaptive, .x = x, .h = x.h, .w = x.w});
    add({.kind = Kind::adaptive, .x = x, .h = 3, .w = 4});
    add({.kind = Kind::adaptive, .x = x, .h = x.h + 2, .w = 2 * x.w});
  }
  add({.kind = Kind::adaptive, .x = {2, 7, 7, 17}, .h = 6, .w = 6});  // AlexNet at 256×256
  for (const GradMode mode : {GradMode::accumulate, GradMode::ignore})
    add({.kind = Kind::adaptive, .x = {2, 8, 8, 17}, .h = 7, .w = 7, .mode = mode});  // VGG11 at 256×256
  add({.kind = Kind::adaptive, .x = {24, 112, 112, 64}, .h = 7, .w = 7}, true);
});

}  // namespace
}  // namespace telltale
