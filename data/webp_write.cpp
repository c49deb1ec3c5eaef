#include "data/webp_write.h"

#include <webp/encode.h>

#include <memory>

#include "base/check.h"

namespace telltale {

std::vector<uint8_t> encode_webp(const Image& image, int quality) {
  TT_CHECK(quality >= 0 && quality <= 100, UsageError, "WebP quality ", quality, ": expected 0 to 100");
  uint8_t* bytes = nullptr;
  const size_t size =
      WebPEncodeRGB(image.rgb.data(), image.width, image.height, 3 * image.width, float(quality), &bytes);
  const std::unique_ptr<uint8_t, void (*)(void*)> owner(bytes, WebPFree);
  TT_CHECK(size > 0, DataError, "cannot encode a WebP of ", image.width, "x", image.height);
  return {bytes, bytes + size};
}

}  // namespace telltale
