// Any bytes as a picture: refused, or an image whose pixels are all there.
#include <zlib.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "base/check.h"
#include "data/codec.h"
#include "data/jpeg.h"
#include "data/picture_size.h"
#include "data/png.h"
#include "data/simple_formats.h"
#include "data/webp.h"

namespace telltale {
namespace {

/// Whether the header asks for more than 16 384 pixels. Such pictures are left to tests/limits: clearing memory for
/// them would take all of the time.
bool is_large(std::span<const uint8_t> bytes) {
  const auto more = [](int64_t width, int64_t height) { return width > 0 && height > (1 << 14) / width; };
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

/// Which of the targets a picture is of.
std::string_view target_of(std::span<const uint8_t> bytes) {
  return is_png(bytes) ? "png" : is_jpeg(bytes) ? "jpeg" : is_webp(bytes) ? "webp" : "simple";
}

/// The target that this program was built for.
std::string_view own_target;

uint32_t big(const uint8_t* at) { return uint32_t(at[0]) << 24 | uint32_t(at[1]) << 16 | uint32_t(at[2]) << 8 | at[3]; }

}  // namespace
}  // namespace telltale

/// The program's name begins with its target: png_fast.
extern "C" int LLVMFuzzerInitialize(int*, char*** argv) {
  std::string_view name = (*argv)[0];
  name.remove_prefix(name.rfind('/') + 1);
  telltale::own_target = name.substr(0, name.find('_'));
  return 0;
}

/// Pictures of other targets are passed over: else a target would spend its time on whatever is easiest to reach.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace telltale;
  if (target_of({data, size}) != own_target) return 0;
  if (is_large({data, size})) return 0;
  try {
    const Image image = decode_image({data, size}, "fuzz.tga");
    if (image.rgb.size() != size_t(image.width) * size_t(image.height) * 3) __builtin_trap();
  } catch (const Error&) {
  }
  return 0;
}

/// A picture's first bytes, by which it is known, and a PNG's checksums stand between most changes and what is behind
/// them: mends the first where they made another kind of the picture, the second now and then.
extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size);
extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size, unsigned seed) {
  using namespace telltale;
  std::array<uint8_t, 12> head{};
  const size_t known = std::min(size, head.size());
  std::copy_n(data, known, head.begin());
  size = LLVMFuzzerMutate(data, size, max_size);
  if (size >= known && target_of({data, size}) != own_target) std::copy_n(head.begin(), known, data);
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
