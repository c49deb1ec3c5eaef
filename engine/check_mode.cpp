#include "engine/check_mode.h"

#include <cmath>

#include "kernels/core/buffer.h"
#include "kernels/core/host_values.h"

namespace telltale {
namespace {

/// What one node left behind, in the order it ran.
struct Record {
  std::string what;
  std::vector<double> values;
  Shape shape;
};

void record(Stream& s, std::vector<Record>& to, const std::string& what, Tensor t) {
  if (t && t.dtype != DType::u8 && t.dtype != DType::i32) to.push_back({what, values_of(s, t), t.shape});
}

std::vector<Record> run(Program& p, Value pred, const Loss* loss, Tensor target) {
  std::vector<Record> records;
  p.observe([&](Program::Step step, const Layer& layer, const Io& io) {
    Stream& s = p.stream();
    s.sync();
    if (!step.backward) return record(s, records, layer.name + " forward y", io.y);
    for (size_t k = 0; k < io.dx.size(); ++k) {
      // A gradient that others still add to is compared when complete, at its producer.
      if (io.dx_mode[k] != GradMode::ignore) record(s, records, cat(layer.name, " backward dx", k), io.dx[k]);
    }
    for (size_t k = 0; k < io.dw.size(); ++k) {
      if (io.dw_mode[k] != GradMode::ignore) record(s, records, cat(layer.name, " backward dw", k), io.dw[k]);
    }
  });
  if (loss) {
    const Tensor y = p.tensor(pred);
    const OwnedTensor out(p.stream().place(), {y.shape.n, 1, 1, loss->terms()}, accumulator_of(y.dtype));
    p.gradients(pred, *loss, target, out, false);
    p.stream().sync();
  } else {
    p.forward();
  }
  p.observe(nullptr);
  return records;
}

}  // namespace

Disagreement compare_programs(Program& a, Program& b, Value pred, const Loss* loss, Tensor target_a, Tensor target_b,
                              double tolerance) {
  const std::vector<Record> left = run(a, pred, loss, target_a), right = run(b, pred, loss, target_b);
  Disagreement out;
  TT_CHECK(left.size() == right.size(), ShapeError, "the two programs ran ", left.size(), " and ", right.size(),
           " nodes");
  for (size_t r = 0; r < left.size(); ++r) {
    const std::vector<double>&x = left[r].values, &y = right[r].values;
    double squares = 0;
    for (double v : x) squares += v * v;
    const double rms = x.empty() ? 0 : std::sqrt(squares / double(x.size()));
    for (size_t i = 0; i < x.size(); ++i) {
      const bool same_kind = std::isnan(x[i]) == std::isnan(y[i]);
      if (same_kind && !(std::abs(x[i] - y[i]) > tolerance * (rms + std::abs(x[i])))) continue;
      const Shape& s = left[r].shape;
      const int64_t k = int64_t(i);
      out.found = true;
      out.text = cat(left[r].what, "[", k / s.c / s.w / s.h, ",", k / s.c / s.w % s.h, ",", k / s.c % s.w, ",", k % s.c,
                     "]: ", x[i], " on ", a.stream().description(), ", ", y[i], " on ", b.stream().description());
      return out;
    }
    ++out.nodes_compared;
  }
  return out;
}

}  // namespace telltale
