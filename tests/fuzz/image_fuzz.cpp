// Any bytes as a picture: refused, or an image whose pixels are all there.
#include <zlib.h>

#include <string_view>

#include "base/check.h"
#include "data/codec.h"
#include "data/picture_size.h"
#include "data/png.h"
#include "data/simple_formats.h"

namespace telltale {
namespace {

/// Whether the header asks for more than a megapixel. Such pictures are left to tests/limits: clearing memory for them
/// would take all of the time.
bool is_large(std::span<const uint8_t> bytes) {
  const auto more = [](int64_t width, int64_t height) { return width > 0 && height > (1 << 20) / width; };
  const char* simple = simple_format(bytes, "fuzz.tga");
  if (simple && simple == std::string_view("TGA"))
    return more(bytes[12] + 256 * bytes[13], bytes[14] + 256 * bytes[15]);
  try {
    const PictureSize size = picture_size(bytes, "fuzz");
    return more(size.width, size.height);
  } catch (const Error&) {
    return false;
  }
}

uint32_t big(const uint8_t* at) { return uint32_t(at[0]) << 24 | uint32_t(at[1]) << 16 | uint32_t(at[2]) << 8 | at[3]; }

}  // namespace
}  // namespace telltale

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace telltale;
  if (is_large({data, size})) return 0;
  try {
    const Image image = decode_image({data, size}, "fuzz.tga");
    if (image.rgb.size() != size_t(image.width) * size_t(image.height) * 3) __builtin_trap();
  } catch (const Error&) {
  }
  return 0;
}

/// A PNG's checksums stand between most changes and what is behind them: mend those of its chunks now and then.
extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size);
extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size, unsigned seed) {
  using namespace telltale;
  size = LLVMFuzzerMutate(data, size, max_size);
  if (seed % 4 == 0 || !is_png({data, size})) return size;
  for (size_t at = 8; at + 12 <= size;) {
    const size_t length = big(data + at);
    if (length > size - at - 12) break;
    const auto sum = uint32_t(crc32(0, data + at + 4, uInt(length + 4)));
    for (size_t i = 0; i < 4; ++i) data[at + 8 + length + i] = uint8_t(sum >> (24 - 8 * i));
    at += 12 + length;
  }
  return size;
}
