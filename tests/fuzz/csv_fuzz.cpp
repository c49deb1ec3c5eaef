// Any bytes as a table of labels: refused, or boxes that lie in their images.
#include "base/check.h"
#include "data/labels.h"
#include "tests/fuzz/memory_file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace telltale;
  if (size == 0) return 0;
  const MemoryFile file(data + 1, size - 1);
  LabelFormat format;
  format.paper_axes = data[0] & 1;
  try {
    for (const Label& label : read_labels(file.path(), format)) {
      const Box& b = label.box;
      if (label.fake && (b.x_min < 0 || b.y_min < 0 || b.x_min >= b.x_max || b.y_min >= b.y_max ||
                         b.x_max > format.width || b.y_max > format.height))
        __builtin_trap();
    }
  } catch (const Error&) {
  }
  return 0;
}
