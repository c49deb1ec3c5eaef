// Says kindly that the processor is too old, before anything that needs a newer one runs. Compiled for any x86-64
// (CMakeLists.txt), and without the standard library: its inline functions might be linked from here.
#include "base/processor_needs.h"

#if defined(__x86_64__)
#include <errno.h>
#include <string.h>
#include <unistd.h>

namespace telltale {
namespace {

void say(const char* text) {
  if (write(STDERR_FILENO, text, strlen(text)) < 0) _exit(1);
}

/// Priority 101 is the first that is not the compiler's own: other objects of the program start after it.
__attribute__((constructor(101))) void refuse_old_processor() {
  __builtin_cpu_init();
  const ProcessorNeeds has{.avx2 = __builtin_cpu_supports("avx2") > 0,
                           .fma = __builtin_cpu_supports("fma") > 0,
                           .bmi2 = __builtin_cpu_supports("bmi2") > 0,
                           .avx512f = __builtin_cpu_supports("avx512f") > 0,
                           .avx512bw = __builtin_cpu_supports("avx512bw") > 0,
                           .avx512vl = __builtin_cpu_supports("avx512vl") > 0,
                           .avx512vnni = __builtin_cpu_supports("avx512vnni") > 0,
                           .avx512bf16 = __builtin_cpu_supports("avx512bf16") > 0};
  char missing[128];
  missing_features(kProcessorNeeds, has, missing);
  if (!*missing) return;
  say(program_invocation_short_name);
  say(": this processor lacks ");
  say(missing);
  say(kProcessorNeeds.avx512f
          ? ", which the machine has that this program was built on; build it here, or with -DTT_PORTABLE=ON\n"
          : "; this program needs an x86-64 processor with AVX2 and FMA (Intel's since 2013, AMD's since 2015)\n");
  _exit(1);
}

}  // namespace

void missing_features(const ProcessorNeeds& needs, const ProcessorNeeds& has, char* to) {
  *to = 0;
  const auto look = [&](bool needed, bool there, const char* name) {
    if (!needed || there) return;
    if (*to) strcat(to, ", ");
    strcat(to, name);
  };
  look(needs.avx2, has.avx2, "AVX2");
  look(needs.fma, has.fma, "FMA");
  look(needs.bmi2, has.bmi2, "BMI2");
  look(needs.avx512f, has.avx512f, "AVX512F");
  look(needs.avx512bw, has.avx512bw, "AVX512BW");
  look(needs.avx512vl, has.avx512vl, "AVX512VL");
  look(needs.avx512vnni, has.avx512vnni, "AVX512_VNNI");
  look(needs.avx512bf16, has.avx512bf16, "AVX512_BF16");
}

}  // namespace telltale
#endif
