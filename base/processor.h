#pragma once
// The processor the program runs on.
#include <string>

namespace telltale {

/// Its maker's name for it, "Intel(R) Xeon(R) …", or "unknown processor".
std::string processor_name();
/// Those of its vector instructions that matter to speed, as Linux names them ("avx2 fma f16c avx512f …"): what the
/// operating system lets a program use. "none of those known here" where it lists none.
std::string processor_features();

}  // namespace telltale
