#include "models/training/finite.h"

#include <cstring>
#include <vector>

#include "base/check.h"

namespace telltale {
namespace {

/// Whether no exponent is all ones. By bits, without a branch for each value: this stands in every step.
template <class Bits>
bool all_finite(const void* values, int64_t count, Bits exponent) {
  const auto* bits = static_cast<const unsigned char*>(values);
  Bits found = 0;
  for (int64_t i = 0; i < count; ++i) {
    Bits b;
    std::memcpy(&b, bits + size_t(i) * sizeof(Bits), sizeof(Bits));
    found |= Bits((b & exponent) == exponent);
  }
  return found == 0;
}

constexpr uint32_t kFloatExponent = 0x7f800000;
constexpr uint64_t kDoubleExponent = 0x7ff0000000000000;

bool all_finite(Stream& s, const Params& params, const Param& p) {
  const int64_t count = p.value.shape.numel();
  if (!s.is_cuda() && p.value.dtype == DType::f32) return all_finite(p.value.data, count, kFloatExponent);
  if (!s.is_cuda() && p.value.dtype == DType::f64) return all_finite(p.value.data, count, kDoubleExponent);
  const std::vector<double> values = params.read(s, p);
  return all_finite(values.data(), int64_t(values.size()), kDoubleExponent);
}

}  // namespace

std::string first_not_finite(const Program& program) {
  Stream& s = program.stream();
  for (const Param& p : program.params().all())
    if (!all_finite(s, program.params(), p)) return p.spec.names.at(0);
  return "";
}

void require_finite(const Program& program, const std::string& when) {
  const std::string name = first_not_finite(program);
  TT_CHECK(name.empty(), Error, "a value of ", name, " is no longer finite ", when,
           ": start anew with a lower --lr; the last checkpoint stays");
}

}  // namespace telltale
