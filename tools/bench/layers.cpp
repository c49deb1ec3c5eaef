#include "tools/bench/layers.h"

#include <cstdio>
#include <map>

#include "kernels/device/cuda_api.h"
#include "tools/bench/bench.h"

namespace telltale {
namespace {

struct Row {
  std::string what;
  double forward = 0, backward = 0, roof = 0;
};

/// A moment on the stream: an event on a GPU, so that nothing waits for it; on the host the clock.
class Moment {
 public:
  explicit Moment(Stream& s) : event_(s.is_cuda() ? cuda_api::create_event() : nullptr, cuda_api::destroy_event) {
    if (event_) {
      cuda_api::record_event(event_.get(), s.native());
    } else {
      seconds_ = now();
    }
  }
  double since(const Moment& earlier) const {
    return event_ ? cuda_api::seconds_between(earlier.event_.get(), event_.get()) : seconds_ - earlier.seconds_;
  }

 private:
  std::unique_ptr<void, void (*)(void*)> event_;
  double seconds_ = 0;
};

double bytes_of(std::span<const Tensor> tensors) {
  double sum = 0;
  for (const Tensor& t : tensors) sum += t ? double(t.bytes()) : 0;
  return sum;
}

double least_bytes(const Io& io, bool backward) {
  // What forward keeps it writes, and backward reads.
  if (!backward) return bytes_of(io.x) + bytes_of(io.w) + bytes_of(io.saved) + double(io.y.bytes());
  // A layer with parameters reads its input again for their gradient.
  return double(io.dy.bytes()) + bytes_of(io.dx) + bytes_of(io.dw) + bytes_of(io.saved) +
         (io.w.empty() ? 0 : bytes_of(io.x) + bytes_of(io.w));
}

/// Every parameter of a filter or a matrix is multiplied once per output pixel; backward once for each gradient. A
/// chain of convolutions keeps what each gives, the last of which may be y.
double multiplications(const Io& io, bool backward) {
  double products = 0;
  size_t saved = 0;
  for (size_t i = 0; i < io.w.size(); ++i) {
    const Shape& w = io.w[i].shape;
    if (w.n == 1) continue;
    while (saved < io.saved.size() && io.saved[saved].shape.c != w.n) ++saved;
    const bool kept = saved < io.saved.size() && io.saved[saved].dtype == io.y.dtype;
    const double once = 2.0 * double((kept ? io.saved[saved] : io.y).shape.rows()) * double(w.numel());
    saved += 3;  // the output, its norm's mean and deviation
    const int gradients = (i > 0 || io.dx_mode[0] != GradMode::ignore) + (io.dw_mode[i] != GradMode::ignore);
    products += once * (backward ? gradients : 1);
  }
  return products;
}

}  // namespace

nlohmann::json time_layers(Program& program, Stream& s, const Ceilings& most, const std::function<void()>& step) {
  constexpr int kSteps = 5;
  struct Ran {
    Program::Step step;
    Moment end;
  };
  std::map<int, Row> rows;
  for (int i = 0; i <= kSteps; ++i) {  // the first warms up
    std::vector<Ran> ran;
    program.observe([&](Program::Step at, const Layer& layer, const Io& io) {
      ran.push_back({at, Moment(s)});
      if (i > 0) return;
      Row& row = rows[at.node];
      row.what = layer.name + "  " + layer.describe() + "  " + to_string(io.y.shape);
      row.roof += most.roof(least_bytes(io, at.backward), multiplications(io, at.backward));
    });
    const Moment start(s);
    step();
    const Moment* before = &start;
    for (const Ran& r : ran) {
      if (i > 0)
        (r.step.backward ? rows[r.step.node].backward : rows[r.step.node].forward) += r.end.since(*before) / kSteps;
      before = &r.end;
    }
  }
  program.observe(nullptr);
  double total = 0;
  for (const auto& [node, r] : rows) total += r.forward + r.backward;
  std::printf("%4s %9s %9s %7s %7s  %s\n", "node", "fwd ms", "bwd ms", "share", "% roof", "layer");
  nlohmann::json out = nlohmann::json::array();
  for (const auto& [node, r] : rows) {
    const double seconds = r.forward + r.backward;
    std::printf("%4d %9.3f %9.3f %6.1f%% %6.1f%%  %s\n", node, r.forward * 1e3, r.backward * 1e3, 100 * seconds / total,
                100 * r.roof / seconds, r.what.c_str());
    out.push_back({{"layer", r.what}, {"forward_s", r.forward}, {"backward_s", r.backward}, {"roof_s", r.roof}});
  }
  return out;
}

}  // namespace telltale
