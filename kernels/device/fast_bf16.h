#pragma once
// Whether this processor should multiply bf16 as it is.
#include <optional>

namespace telltale {

/// True where the processor's bf16 dot products outrun its f32 multiply-adds and oneDNN runs them: by AMX, or by
/// AVX512_BF16 on AMD's. On Intel's, AVX512_BF16 without AMX runs at half the rate of f32: 85 against 177 GFLOP/s a
/// core on an Emerald Rapids whose AMX was hidden (`bench kernels --threads 1 --precision bf16`). AMD's is taken to be
/// faster by what oneDNN's convolutions did on one; nothing is measured at run time, so that results do not depend on
/// it.
bool has_fast_bf16();
/// For tests: says what has_fast_bf16 returns, or nothing again. A processor without AVX512_BF16 stays without.
void override_fast_bf16(std::optional<bool>);

}  // namespace telltale
