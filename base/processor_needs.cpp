#include "base/processor_needs.h"

namespace telltale {

constexpr ProcessorNeeds kProcessorNeeds = {
#if defined(__AVX2__)
    .avx2 = true,
#endif
#if defined(__FMA__)
    .fma = true,
#endif
#if defined(__BMI2__)
    .bmi2 = true,
#endif
#if defined(__AVX512F__)
    .avx512f = true,
#endif
#if defined(__AVX512BW__)
    .avx512bw = true,
#endif
#if defined(__AVX512VL__)
    .avx512vl = true,
#endif
#if defined(__AVX512VNNI__)
    .avx512vnni = true,
#endif
#if defined(__AVX512BF16__)
    .avx512bf16 = true,
#endif
};

}  // namespace telltale
