#pragma once
// What the processor must have, because the compiler was told to use it.
namespace telltale {

struct ProcessorNeeds {
  bool avx2 = false, fma = false, bmi2 = false, avx512f = false, avx512bw = false, avx512vl = false, avx512vnni = false,
       avx512bf16 = false;
};
/// Of everything but the few functions that are chosen at run time. A constant: reading it runs no code.
extern const ProcessorNeeds kProcessorNeeds;

/// What a program says on a processor that lacks some of it: "AVX2, FMA". Nothing to a null-terminated text's end.
/// Needs no library, so that it can run before one does. `to` holds 128 bytes or more.
void missing_features(const ProcessorNeeds& needs, const ProcessorNeeds& has, char* to);

}  // namespace telltale
