// How long a loss takes beside the time its memory traffic alone would.
#include "kernels/device/buffer.h"
#include "kernels/device/host_values.h"
#include "kernels/device/philox.h"
#include "tools/bench/bench.h"
#include "tools/bench/ceilings.h"
#include "tools/bench/losses.h"

namespace telltale {
namespace {

OwnedTensor uniform(Stream& s, const Shape& shape, Random& random) {
  OwnedTensor t(s.place(), shape, DType::f32);
  std::vector<double> values(size_t(shape.numel()));
  for (double& v : values) v = random.uniform();
  set_values(s, t, values);
  return t;
}

LossSpeed time_loss(Stream& s, const StudiedLoss& studied, int rows, double bandwidth) {
  constexpr int kSide = 64;
  const Loss& loss = studied.either();
  const bool maps = studied.pixels != nullptr;
  const int count = maps ? std::max(1, rows / (kSide * kSide)) : rows, height = maps ? kSide : 1;
  const auto shape = [&](int width) { return Shape{count, height, maps ? kSide : 1, width}; };
  Random random(1);
  const OwnedTensor pred = uniform(s, shape(loss.pred_width()), random),
                    target = uniform(s, shape(loss.target_width()), random);
  const OwnedTensor terms(s.place(), {count * height, 1, 1, loss.terms()}, DType::f32),
      gradient(s.place(), pred.tensor.shape, DType::f32), state(s.place(), {1, 1, 1, sizeof(StepState)}, DType::u8);
  const StepState one;
  upload(s, state, &one);
  std::vector<double> seconds;
  constexpr int kWarm = 2, kRuns = 9;
  for (int i = 0; i < kWarm + kRuns; ++i) {
    s.sync();
    const double start = now();
    loss.eval(s, pred, target, terms, gradient, state.tensor.as<StepState>());
    s.sync();
    if (i >= kWarm) seconds.push_back(now() - start);
  }
  const double bytes =
      double(pred.tensor.bytes() + target.tensor.bytes() + terms.tensor.bytes() + gradient.tensor.bytes());
  return {s.description(), shape(1).numel(), timing_of(seconds).low, bytes / bandwidth};
}

}  // namespace

std::vector<std::vector<LossSpeed>> time_losses(const CommonOptions& common, const std::vector<StudiedLoss>& losses,
                                                int rows) {
  std::vector<Stream> streams;
  if (common.device == "auto" || common.device == "cpu") streams.push_back(Stream::cpu(common.threads));
  if (common.device == "auto" && cuda_unavailable_reason().empty()) streams.push_back(Stream::cuda());
  if (streams.empty()) streams.push_back(Stream::open(common.device, common.threads));
  std::vector<std::vector<LossSpeed>> speeds(losses.size());
  for (Stream& s : streams) {
    const double bandwidth = measure_ceilings(s, DType::f32).copy_bytes;
    for (size_t i = 0; i < losses.size(); ++i) speeds[i].push_back(time_loss(s, losses[i], rows, bandwidth));
  }
  return speeds;
}

}  // namespace telltale
