// Any bytes as a pickle: refused with a DataError, or read; and every value within reach.
#include "base/check.h"
#include "weights/pickle.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace telltale;
  try {
    const Pickle pickle({data, size});
    if (pickle.size() > size) __builtin_trap();
    for (const PickleValue& v : pickle.values())
      for (uint32_t item : v.items)
        if (item >= pickle.values().size()) __builtin_trap();
  } catch (const DataError&) {
  }
  return 0;
}
