#include "data/picture_size.h"

#include <webp/decode.h>

#include <cstdlib>
#include <string_view>

#include "base/check.h"
#include "data/jpeg.h"
#include "data/png.h"
#include "data/webp.h"

namespace telltale {
namespace {

class Header {
 public:
  Header(std::span<const uint8_t> bytes, const std::string& name) : bytes_(bytes), name_(name) {}
  int64_t byte(size_t at) const {
    TT_CHECK(at < bytes_.size(), DataError, name_, ": ends before it says how large it is; copy the file again");
    return bytes_[at];
  }
  int64_t big(size_t at, int count) const {
    return count == 0 ? 0 : byte(at + size_t(count) - 1) + 256 * big(at, count - 1);
  }
  int64_t little(size_t at, int count) const { return count == 0 ? 0 : byte(at) + 256 * little(at + 1, count - 1); }

 private:
  std::span<const uint8_t> bytes_;
  const std::string& name_;
};

/// Of the first frame header; segments before it are stepped over.
PictureSize size_of_jpeg(const Header& header) {
  for (size_t at = 2;;) {
    while (header.byte(at) != 0xff) ++at;  // rubbish between segments
    while (header.byte(at) == 0xff) ++at;
    const int64_t marker = header.byte(at++);
    if (marker == 0 || marker == 0x01 || (marker >= 0xd0 && marker <= 0xd9)) continue;  // these have no length
    const bool frame = marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 && marker != 0xcc;
    if (frame) return {header.big(at + 5, 2), header.big(at + 3, 2)};
    at += size_t(std::max<int64_t>(2, header.big(at, 2)));
  }
}

}  // namespace

PictureSize picture_size(std::span<const uint8_t> bytes, const std::string& name) {
  const Header header(bytes, name);
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (is_jpeg(bytes)) return size_of_jpeg(header);
  if (is_png(bytes)) return {header.big(16, 4), header.big(20, 4)};
  if (text.starts_with("GIF8")) return {header.little(6, 2), header.little(8, 2)};
  if (text.starts_with("BM")) return {header.little(18, 4), std::abs(int64_t(int32_t(header.little(22, 4))))};
  if (is_webp(bytes)) {
    int width = 0, height = 0;
    TT_CHECK(WebPGetInfo(bytes.data(), bytes.size(), &width, &height) != 0, DataError, name,
             ": damaged WebP; copy the file again or remove it");
    return {width, height};
  }
  throw DataError(cat(name, ": not a JPEG, PNG, WebP, GIF or BMP; convert it"));
}

}  // namespace telltale
