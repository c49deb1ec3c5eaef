#include "engine/check_mode.h"

#include <cmath>
#include <functional>

#include "kernels/device/buffer.h"
#include "kernels/device/half.h"
#include "kernels/device/host_values.h"
#include "kernels/parts/matrix_math.h"

namespace telltale {
namespace {

/// What one node left in one tensor.
struct Record {
  std::string what;
  bool backward;
  Shape shape;
  std::vector<double> values;
};

using Visit = std::function<void(const std::string& what, bool backward, Tensor)>;

/// Shows every floating-point tensor that each node wrote, in the order they ran. A gradient to which later nodes still
/// add is shown again at each.
void run(Program& p, std::span<const Program::Head> heads, const Visit& visit) {
  const auto show = [&](const std::string& what, bool backward, Tensor t) {
    if (t && t.dtype != DType::u8 && t.dtype != DType::i32) visit(what, backward, t);
  };
  p.observe([&](Program::Step step, const Layer& layer, const Io& io) {
    p.stream().sync();
    const std::string name = cat("node ", step.node, ", ", layer.name);
    if (!step.backward) return show(name + " forward y", false, io.y);
    for (size_t k = 0; k < io.dx.size(); ++k) {
      if (io.dx_mode[k] != GradMode::ignore) show(cat(name, " backward dx", k), true, io.dx[k]);
    }
    for (size_t k = 0; k < io.dw.size(); ++k) {
      if (io.dw_mode[k] != GradMode::ignore) show(cat(name, " backward dw", k), true, io.dw[k]);
    }
  });
  if (heads.empty()) return p.forward();
  p.gradients(heads, false);
  p.stream().sync();
}

/// Where y differs from x by more than allowed, and how often; -1 when nowhere.
struct Difference {
  int64_t first = -1, count = 0;
};
Difference difference(const std::vector<double>& x, const std::vector<double>& y, double tolerance) {
  double squares = 0;
  for (double v : x) squares += v * v;
  const double rms = x.empty() ? 0 : std::sqrt(squares / double(x.size()));
  Difference d;
  for (size_t i = 0; i < x.size(); ++i) {
    const bool same_kind = std::isnan(x[i]) == std::isnan(y[i]);
    if (same_kind && !(std::abs(x[i] - y[i]) > tolerance * (rms + std::abs(x[i])))) continue;
    if (d.first < 0) d.first = int64_t(i);
    ++d.count;
  }
  return d;
}

struct Stop {};  // ends b's run at the first difference

/// To the 10 bits of mantissa that a tensor core reads of an f32.
void round_to_tf32(std::vector<double>& values) {
  for (double& v : values) {
    const uint32_t bits = bits_of(float(v));
    if (std::isfinite(v)) v = double(float_of((bits + 0xfffu + ((bits >> 13) & 1u)) & 0xffffe000u));
  }
}

void round_parameters(Program& p) {
  for (const Param& q : p.params().all()) {
    std::vector<double> values = p.params().read(p.stream(), q);
    round_to_tf32(values);
    p.params().write(p.stream(), q, values);
  }
  p.params_changed();
}

}  // namespace

Disagreement compare_programs(Program& a, Program& b, std::span<const Program::Head> heads_a,
                              std::span<const Program::Head> heads_b, double tolerance) {
  constexpr int64_t kElementsPerKink = 100000;
  const bool tf32 = a.stream().resource<MatrixMath>().tf32 || b.stream().resource<MatrixMath>().tf32;
  if (tf32) round_parameters(a), round_parameters(b);
  std::vector<Record> records;
  run(a, heads_a, [&](const std::string& what, bool backward, Tensor t) {
    records.push_back({what, backward, t.shape, values_of(a.stream(), t)});
    if (!tf32) return;
    std::vector<double> rounded = records.back().values;
    round_to_tf32(rounded);
    set_values(a.stream(), t, rounded);
  });
  a.observe(nullptr);
  Disagreement out;
  const auto compare = [&](const std::string& what, bool backward, Tensor t) {
    TT_CHECK(size_t(out.tensors_compared) < records.size() && records[size_t(out.tensors_compared)].what == what,
             ShapeError, "the two programs ran different nodes: ", what, " is not the other's");
    Record& r = records[size_t(out.tensors_compared)];
    const std::vector<double> values = values_of(b.stream(), t);
    const Difference d = difference(r.values, values, tolerance);
    const int64_t allowed = backward ? int64_t(values.size()) / kElementsPerKink : 0;
    if (d.count > allowed) {
      const Shape& s = r.shape;
      const int64_t k = d.first;
      out.found = true;
      out.text = cat(what, "[", k / s.c / s.w / s.h, ",", k / s.c / s.w % s.h, ",", k / s.c % s.w, ",", k % s.c,
                     "]: ", r.values[size_t(k)], " on ", a.stream().description(), ", ", values[size_t(k)], " on ",
                     b.stream().description(), " (", d.count, " of ", values.size(), " differ)");
      throw Stop{};
    }
    if (tf32) round_to_tf32(r.values);
    set_values(b.stream(), t, r.values);
    ++out.tensors_compared;
  };
  try {
    run(b, heads_b, compare);
    TT_CHECK(size_t(out.tensors_compared) == records.size(), ShapeError, "the two programs wrote ", records.size(),
             " and ", out.tensors_compared, " tensors");
  } catch (const Stop&) {
  }
  b.observe(nullptr);
  return out;
}

}  // namespace telltale
