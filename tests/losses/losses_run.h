#pragma once
// Runs a loss on plain numbers, on any stream and in any type.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>
#include <vector>

#include "base/check.h"
#include "kernels/device/buffer.h"
#include "kernels/device/half.h"
#include "kernels/device/host_values.h"
#include "losses/loss.h"
#include "tests/devices.h"

namespace telltale {

using Numbers = std::vector<double>;

struct Outcome {
  Numbers loss, gradient;
  bool operator==(const Outcome&) const = default;
};

inline Tensor filled(Stream& s, OwnedTensor& to, Shape shape, DType type, const Numbers& values) {
  to = OwnedTensor(s.place(), shape, type);
  set_values(s, to, values);
  return to;
}

inline Numbers read(Stream& s, Tensor t) { return values_of(s, t); }

/// Runs a loss on rows of numbers; outputs start as NaN, so that one not written shows.
inline Outcome evaluate(const Loss& loss, Stream& s, DType type, const Numbers& pred, const Numbers& target,
                        const StepState& state = {}) {
  const int n = int(pred.size()) / loss.pred_width();
  const DType wide = accumulator_of(type);
  const double nan = std::numeric_limits<double>::quiet_NaN();
  OwnedTensor p, t, l, d;
  filled(s, p, {n, 1, 1, loss.pred_width()}, type, pred);
  filled(s, t, {n, 1, 1, loss.target_width()}, wide, target);
  filled(s, l, {n, 1, 1, loss.terms()}, wide, Numbers(n * loss.terms(), nan));
  filled(s, d, {n, 1, 1, loss.pred_width()}, type, Numbers(pred.size(), nan));
  Buffer on_device(s.place(), sizeof state);
  upload(s, on_device.view({1, 1, 1, int(sizeof state)}, DType::u8), &state);
  loss.eval(s, p, t, l, d, static_cast<const StepState*>(on_device.data()));
  return {read(s, l), read(s, d)};
}

inline Outcome evaluate(const Loss& loss, const Numbers& pred, const Numbers& target, const StepState& state = {}) {
  Stream s = Stream::cpu();
  return evaluate(loss, s, DType::f64, pred, target, state);
}

inline void expect_near(const Numbers& got, const Numbers& expected, double relative) {
  ASSERT_EQ(got.size(), expected.size());
  for (size_t i = 0; i < got.size(); ++i) {
    EXPECT_NEAR(got[i], expected[i], relative * std::max(1.0, std::abs(expected[i]))) << "element " << i;
  }
}

/// True when each row gives, bit for bit, alone what it gives in the batch.
inline bool rows_are_independent(const Loss& loss, const Numbers& pred, const Numbers& target, const StepState& state) {
  const Outcome all = evaluate(loss, pred, target, state);
  Outcome pieces;
  const size_t p = loss.pred_width(), t = loss.target_width();
  for (size_t i = 0; i < pred.size() / p; ++i) {
    const Outcome one = evaluate(loss, Numbers(pred.begin() + i * p, pred.begin() + (i + 1) * p),
                                 Numbers(target.begin() + i * t, target.begin() + (i + 1) * t), state);
    pieces.loss.insert(pieces.loss.end(), one.loss.begin(), one.loss.end());
    pieces.gradient.insert(pieces.gradient.end(), one.gradient.begin(), one.gradient.end());
  }
  return all == pieces;
}

/// Units in the last place of a type at 1.
inline double epsilon_of(DType type) {
  return type == DType::bf16 ? 0x1p-8 : type == DType::f16 ? 0x1p-11 : type == DType::f32 ? 0x1p-23 : 0x1p-52;
}

/// Every stream this machine has gives what the host gives in double, within the type.
inline void compare_devices(const Loss& loss, const Numbers& pred, const Numbers& target, const StepState& state) {
  std::vector<Stream> streams;
  streams.push_back(Stream::cpu());
  streams.push_back(Stream::emulated());
  streams.push_back(Stream::emulated(true));
  const std::string reason = cuda_unavailable_reason();
  if (reason.empty() || gpu_required()) {
    streams.push_back(Stream::cuda());
  } else {
    std::printf("%s NOT verified on CUDA: %s\n", loss.name().c_str(), reason.c_str());
  }
  for (DType type : {DType::f64, DType::f32, DType::bf16, DType::f16}) {
    const Outcome host = evaluate(loss, streams[0], type, pred, target, state);
    for (size_t i = 1; i < streams.size(); ++i) {
      SCOPED_TRACE(cat(loss.name(), " ", name_of(type), " ", streams[i].description()));
      const Outcome got = evaluate(loss, streams[i], type, pred, target, state);
      if (!streams[i].is_cuda()) {
        EXPECT_EQ(got, host);
      } else {  // log, exp and atan differ by an ulp or two, and IoU's 1 − x can cancel four bits of them
        expect_near(got.loss, host.loss, 64 * epsilon_of(accumulator_of(type)));
        expect_near(got.gradient, host.gradient,
                    std::max(2 * epsilon_of(type), 512 * epsilon_of(accumulator_of(type))));
      }
    }
    // The formula in this type against double, on the same rounded inputs: 16-bit storage must not compute in 16 bits.
    Stream& s = streams[0];
    OwnedTensor p, t;
    const Numbers rounded = read(s, filled(s, p, {1, 1, 1, int(pred.size())}, type, pred));
    const Numbers rounded_target = read(s, filled(s, t, {1, 1, 1, int(target.size())}, accumulator_of(type), target));
    const Outcome exact = evaluate(loss, s, DType::f64, rounded, rounded_target, state);
    SCOPED_TRACE(cat(loss.name(), " ", name_of(type), " against double"));
    expect_near(host.loss, exact.loss, 64 * epsilon_of(accumulator_of(type)));
    expect_near(host.gradient, exact.gradient, std::max(2 * epsilon_of(type), 512 * epsilon_of(accumulator_of(type))));
  }
}

}  // namespace telltale
