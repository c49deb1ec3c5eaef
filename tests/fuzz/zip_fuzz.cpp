// Any bytes as a PyTorch file, zip or legacy: refused, or every tensor can be read and has its size.
#include <cstring>

#include "base/check.h"
#include "tests/fuzz/memory_file.h"
#include "weights/pth.h"
#include "weights/zip.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace telltale;
  try {
    for (const ZipMember& m : read_zip({data, size}))
      if (m.bytes.data() < data || m.bytes.data() + m.bytes.size() > data + size) __builtin_trap();
  } catch (const Error&) {
  }
  try {
    const MemoryFile file(data, size);
    const Pth pth = Pth::open(file.path());
    std::vector<unsigned char> scratch;
    for (const StateTensor& t : pth.state_dict())
      if (stored_bytes(t, scratch).size() != size_t(t.info.numel()) * size_of(t.info.dtype)) __builtin_trap();
  } catch (const Error&) {
  }
  return 0;
}

/// A checksum stands between most changes and what is behind it: mend those of changed members now and then.
extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size);
extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size, unsigned seed) {
  using namespace telltale;
  size = LLVMFuzzerMutate(data, size, max_size);
  if (seed % 4 == 0) return size;
  try {
    for (const ZipMember& m : read_zip({data, size})) {
      const uint32_t crc = crc32_of(m.bytes);
      // The name is a view into the directory's entry, 46 bytes into it; the checksum stands at 16.
      std::memcpy(data + (reinterpret_cast<const uint8_t*>(m.name.data()) - data) - 46 + 16, &crc, 4);
    }
  } catch (const Error&) {
  }
  return size;
}
