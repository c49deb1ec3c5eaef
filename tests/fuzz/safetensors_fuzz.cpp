// Any bytes as safetensors: refused, or every tensor can be read and has its size.
#include "base/check.h"
#include "tests/fuzz/memory_file.h"
#include "weights/safetensors.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace telltale;
  try {
    const MemoryFile bytes(data, size);
    const Safetensors file = Safetensors::open(bytes.path());
    for (const StateTensor& t : file.state_dict())
      if (t.read().size() != size_t(t.info.numel())) __builtin_trap();
  } catch (const Error&) {
  }
  return 0;
}
