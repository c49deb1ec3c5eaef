#include "data/exif.h"

#include <algorithm>
#include <cctype>
#include <cstring>

namespace telltale {

namespace {

// Reads within bounds only; a read outside gives 0 and marks the reader bad.
class TiffReader {
 public:
  explicit TiffReader(std::span<const uint8_t> bytes) : bytes_(bytes) {
    const bool little = bytes.size() >= 2 && bytes[0] == 'I' && bytes[1] == 'I';
    const bool big = bytes.size() >= 2 && bytes[0] == 'M' && bytes[1] == 'M';
    little_ = little;
    ok_ = (little || big) && u16(2) == 42;
  }
  bool ok() const { return ok_; }
  uint32_t u8(size_t at) { return read(at, 1); }
  uint32_t u16(size_t at) { return read(at, 2); }
  uint32_t u32(size_t at) { return read(at, 4); }

 private:
  uint32_t read(size_t at, size_t count) {
    if (at > bytes_.size() || count > bytes_.size() - at) {
      ok_ = false;
      return 0;
    }
    uint32_t v = 0;
    for (size_t i = 0; i < count; ++i) v = v << 8 | bytes_[at + (little_ ? count - 1 - i : i)];
    return v;
  }
  std::span<const uint8_t> bytes_;
  bool little_ = false, ok_ = true;
};

}  // namespace

int exif_orientation(std::span<const uint8_t> exif) {
  constexpr std::string_view kHeader("Exif\0\0", 6);
  if (exif.size() >= kHeader.size() && std::memcmp(exif.data(), kHeader.data(), kHeader.size()) == 0)
    exif = exif.subspan(kHeader.size());
  TiffReader tiff(exif);
  const size_t directory = tiff.u32(4);
  const uint32_t entries = tiff.u16(directory);
  for (uint32_t i = 0; i < entries && tiff.ok(); ++i) {
    constexpr uint32_t kOrientation = 0x0112, kByte = 1, kShort = 3, kLong = 4;
    const size_t entry = directory + 2 + size_t(i) * 12;
    if (tiff.u16(entry) != kOrientation) continue;
    const uint32_t type = tiff.u16(entry + 2);
    if (type != kByte && type != kShort && type != kLong) continue;
    const size_t at = entry + 8;
    const uint32_t value = type == kLong ? tiff.u32(at) : type == kShort ? tiff.u16(at) : tiff.u8(at);
    if (!tiff.ok()) return 0;
    return value >= 1 && value <= 8 ? int(value) : 1;
  }
  return 0;
}

int xmp_orientation(std::string_view xmp) {
  constexpr std::string_view kName = "tiff:Orientation";
  const size_t at = xmp.find(kName);
  if (at == xmp.npos) return 0;
  std::string_view rest = xmp.substr(at + kName.size());
  // tiff:Orientation="6" or <tiff:Orientation>6</tiff:Orientation>, spaces allowed.
  size_t i = 0;
  constexpr std::string_view kBetween = " \t\r\n=>\"'";
  while (i < rest.size() && kBetween.find(rest[i]) != kBetween.npos) ++i;
  const bool digit = i > 0 && i < rest.size() && rest[i] >= '1' && rest[i] <= '8';
  const bool alone = digit && (i + 1 == rest.size() || !std::isalnum(static_cast<unsigned char>(rest[i + 1])));
  return alone ? rest[i] - '0' : 0;
}

int orientation_of(std::span<const uint8_t> exif, std::string_view xmp) {
  int orientation = exif_orientation(exif);
  if (orientation == 0) orientation = xmp_orientation(xmp);
  return std::max(orientation, 1);
}

Image upright(Image image, int orientation) {
  if (orientation <= 1 || orientation > 8) return image;
  const bool transposed = orientation >= 5;
  const int w = image.width, h = image.height;
  Image out(transposed ? h : w, transposed ? w : h);
  for (int y = 0; y < out.height; ++y)
    for (int x = 0; x < out.width; ++x) {
      int sx = transposed ? y : x, sy = transposed ? x : y;
      // The tag says where the stored first row and column lie in the scene: 2, 3, 7, 8 mirror the stored columns,
      // 3, 4, 6, 7 the stored rows.
      if (orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8) sx = w - 1 - sx;
      if (orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7) sy = h - 1 - sy;
      std::memcpy(out.at(x, y), image.at(sx, sy), 3);
    }
  return out;
}

}  // namespace telltale
