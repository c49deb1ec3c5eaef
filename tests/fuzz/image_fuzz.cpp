// Any bytes as a JPEG or PNG: refused, or an image whose pixels are all there.
#include "base/check.h"
#include "data/codec.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace telltale;
  try {
    const Image image = decode_image({data, size}, "fuzz");
    if (image.rgb.size() != size_t(image.width) * size_t(image.height) * 3) __builtin_trap();
  } catch (const Error&) {
  }
  return 0;
}
