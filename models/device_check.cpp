#include "models/device_check.h"

#include <cstdio>

namespace telltale {

Stream other_device(const Stream& s) { return s.device_bodies() ? Stream::cpu() : Stream::emulated(); }

double check_tolerance(DType compute, bool tf32) {
  switch (tf32 ? DType::f16 : compute) {  // as many bits of mantissa
    case DType::f64: return 1e-9;
    case DType::bf16: return 3e-2;  // 8 bits of mantissa: a few units in the last place
    case DType::f16: return 5e-3;
    default: return 1e-3;
  }
}

int report_check(const Disagreement& d, const Stream& a, const Stream& b) {
  if (d.found) {
    std::printf("differs after %d tensors that agree: %s\n", d.tensors_compared, d.text.c_str());
    return 1;
  }
  std::printf("%d tensors agree, node by node, on %s and %s\n", d.tensors_compared, a.description().c_str(),
              b.description().c_str());
  return 0;
}

}  // namespace telltale
