#include "kernels/device/fast_bf16.h"

#if TT_ONEDNN
#include <oneapi/dnnl/dnnl.hpp>
#endif

namespace telltale {
namespace {

std::optional<bool>& overridden() {
  static std::optional<bool> fast;
  return fast;
}

#if TT_ONEDNN
/// What oneDNN finds is what the operating system allows, too.
bool runs(dnnl::cpu_isa wanted) { return (int(dnnl::get_effective_cpu_isa()) & int(wanted)) == int(wanted); }

bool is_amd() {
#if defined(__x86_64__)
  return __builtin_cpu_is("amd");
#else
  return false;
#endif
}
#endif

}  // namespace

bool has_fast_bf16() {
#if TT_ONEDNN
  if (!runs(dnnl::cpu_isa::avx512_core_bf16)) return false;
  return overridden().value_or(is_amd() || runs(dnnl::cpu_isa::avx512_core_amx));
#else
  return false;
#endif
}

void override_fast_bf16(std::optional<bool> fast) { overridden() = fast; }

}  // namespace telltale
