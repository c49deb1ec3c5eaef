#include "data/png.h"

#include <array>
#include <climits>
#include <cstring>
#include <memory>

#include "base/check.h"
#include "data/codec.h"

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wsign-compare"
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
#define STB_IMAGE_STATIC
#define STB_IMAGE_IMPLEMENTATION
#define STBI_ONLY_PNG
#define STBI_NO_STDIO
#define STBI_MAX_DIMENSIONS 1000000
#include <stb_image.h>
#define STB_IMAGE_WRITE_STATIC
#define STB_IMAGE_WRITE_IMPLEMENTATION
#define STBI_WRITE_NO_STDIO
#include <stb_image_write.h>
#pragma GCC diagnostic pop

namespace telltale {

namespace {

constexpr std::array<uint8_t, 8> kSignature{0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};

constexpr std::array<uint32_t, 256> kCrcTable = [] {
  std::array<uint32_t, 256> table{};
  for (uint32_t n = 0; n < 256; ++n) {
    uint32_t c = n;
    for (int bit = 0; bit < 8; ++bit) c = c & 1 ? 0xedb88320u ^ (c >> 1) : c >> 1;
    table[n] = c;
  }
  return table;
}();

uint32_t crc32(std::span<const uint8_t> bytes) {
  uint32_t c = 0xffffffffu;
  for (const uint8_t b : bytes) c = kCrcTable[(c ^ b) & 0xff] ^ (c >> 8);
  return ~c;
}

uint32_t big_endian(const uint8_t* p) { return uint32_t(p[0]) << 24 | p[1] << 16 | p[2] << 8 | p[3]; }

// Walks the chunks: stb checks neither their sums nor that the file is all there. Returns width and height.
std::array<int64_t, 2> check_chunks(std::span<const uint8_t> bytes, const std::string& name) {
  const auto truncated = [&] { return DataError(cat(name, ": truncated PNG; copy the file again or remove it")); };
  std::array<int64_t, 2> size{};
  for (size_t at = kSignature.size();;) {
    if (bytes.size() - at < 12) throw truncated();
    const uint8_t* chunk = bytes.data() + at;
    const size_t length = big_endian(chunk);
    if (length > bytes.size() - at - 12) throw truncated();
    TT_CHECK(crc32({chunk + 4, length + 4}) == big_endian(chunk + 8 + length), DataError, name,
             ": damaged PNG (checksum of a chunk); copy the file again or remove it");
    if (at == kSignature.size()) {
      TT_CHECK(std::memcmp(chunk + 4, "IHDR", 4) == 0 && length == 13, DataError, name, ": damaged PNG (no header)");
      size = {big_endian(chunk + 8), big_endian(chunk + 12)};
    }
    if (std::memcmp(chunk + 4, "IEND", 4) == 0) return size;
    at += 12 + length;
  }
}

struct StbFree {
  void operator()(uint8_t* p) const { stbi_image_free(p); }
};

}  // namespace

bool is_png(std::span<const uint8_t> bytes) {
  return bytes.size() >= kSignature.size() && std::memcmp(bytes.data(), kSignature.data(), kSignature.size()) == 0;
}

Image decode_png(std::span<const uint8_t> bytes, const std::string& name) {
  const auto [width, height] = check_chunks(bytes, name);
  TT_CHECK(width > 0 && height > 0, DataError, name, ": damaged PNG (", width, "x", height, " pixels)");
  TT_CHECK(width * height <= kMaxPixels && bytes.size() <= INT_MAX, DataError, name, ": ", width, "x", height,
           " is more than ", kMaxPixels, " pixels; shrink the image first");
  int w = 0, h = 0, channels = 0;
  const std::unique_ptr<uint8_t, StbFree> rgba(
      stbi_load_from_memory(bytes.data(), int(bytes.size()), &w, &h, &channels, 4));
  TT_CHECK(rgba, DataError, name, ": damaged PNG (", stbi_failure_reason(), "); copy the file again or remove it");
  Image image(w, h);
  const uint8_t* from = rgba.get();
  for (uint8_t *to = image.rgb.data(), *end = to + image.rgb.size(); to < end; to += 3, from += 4)
    for (int c = 0; c < 3; ++c) to[c] = uint8_t((from[c] * from[3] + 255 * (255 - from[3]) + 127) / 255);
  return image;
}

std::vector<uint8_t> encode_png(const uint8_t* pixels, int width, int height, int channels) {
  TT_CHECK(width > 0 && height > 0, ShapeError, "PNG of ", width, "x", height, ": sizes must be positive");
  std::vector<uint8_t> out;
  const auto append = [](void* to, void* data, int size) {
    const auto* p = static_cast<const uint8_t*>(data);
    static_cast<std::vector<uint8_t>*>(to)->insert(static_cast<std::vector<uint8_t>*>(to)->end(), p, p + size);
  };
  TT_CHECK(stbi_write_png_to_func(append, &out, width, height, channels, pixels, width * channels), DataError,
           "cannot encode a PNG of ", width, "x", height);
  return out;
}

}  // namespace telltale
