#include "data/codec.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>
#include <string_view>

#include "base/atomic_file.h"
#include "base/check.h"
#include "base/regular_file.h"
#include "data/gif.h"
#include "data/jpeg.h"
#include "data/no_memory.h"
#include "data/png.h"
#include "data/simple_formats.h"
#include "data/webp.h"

namespace telltale {

namespace {

std::string_view text_of(const std::vector<uint8_t>& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// What people take for a photograph, by its first bytes; null for anything else.
const char* known_stranger(std::span<const uint8_t> bytes) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  const auto holds = [&](size_t at, std::string_view mark) {
    return text.substr(std::min(at, text.size())).starts_with(mark);
  };
  using namespace std::string_view_literals;
  if (holds(0, "II*\0"sv) || holds(0, "MM\0*"sv)) return "a TIFF or a camera's raw file";
  if (holds(4, "ftypavif")) return "an AVIF";
  if (holds(4, "ftyphei") || holds(4, "ftypmif1") || holds(4, "ftypmsf1") || holds(4, "ftyphev")) return "a HEIC";
  if (holds(4, "ftyp")) return "a film";
  if (holds(0, "\xff\x0a") || holds(4, "JXL ")) return "a JPEG XL";
  if (holds(4, "jP  ")) return "a JPEG 2000";
  if (holds(0, "8BPS")) return "a Photoshop document";
  if (holds(0, "%PDF")) return "a PDF";
  if (holds(0, "<")) return "a web page or a drawing in XML";
  return nullptr;
}

}  // namespace

std::vector<uint8_t> read_file(const std::string& path) {
  const Descriptor file = open_regular(path);
  struct stat info;
  TT_CHECK(::fstat(file.get(), &info) == 0, DataError, path, ": cannot read: ", std::strerror(errno));
  std::vector<uint8_t> bytes(static_cast<size_t>(info.st_size));
  TT_CHECK(read_some(file, bytes, path) == bytes.size(), DataError, path, ": cannot read: it shrank meanwhile");
  return bytes;
}

Image decode_image(std::span<const uint8_t> bytes, const std::string& name, Remarks* remarks) try {
  TT_CHECK(!bytes.empty(), DataError, name, ": empty file (0 bytes); copy it again or remove it");
  if (is_jpeg(bytes)) return decode_jpeg(bytes, name, remarks);
  if (is_png(bytes)) return decode_png(bytes, name, remarks);
  if (is_webp(bytes)) return decode_webp(bytes, name, remarks);
  if (is_gif(bytes)) return decode_gif(bytes, name, remarks);
  if (simple_format(bytes, name)) return decode_simple(bytes, name);
  if (const char* kind = known_stranger(bytes))
    throw DataError(cat(name, ": ", kind, ", which is not read; convert it to JPEG or PNG, or remove it"));
  throw DataError(cat(name,
                      ": no picture of a kind that is read (JPEG, PNG, WebP, BMP, GIF, PNM, TGA); convert it or "
                      "remove it"));
} catch (const std::bad_alloc&) {
  throw DataError(no_memory_for(name));
}

Image read_image(const std::string& path, Remarks* remarks) try {
  return decode_image(read_file(path), path, remarks);
} catch (const std::bad_alloc&) {
  throw DataError(no_memory_for(path));
}

Grey read_grey(const std::string& path) {
  const Image image = read_image(path);
  Grey grey(image.width, image.height);
  for (size_t i = 0; i < grey.pixels.size(); ++i)
    grey.pixels[i] = uint8_t((image.rgb[3 * i] + image.rgb[3 * i + 1] + image.rgb[3 * i + 2] + 1) / 3);
  return grey;
}

void write_jpeg(const std::string& path, const Image& image, int quality) {
  write_atomically(path, text_of(encode_jpeg(image, quality)));
}

void write_png(const std::string& path, const Image& image) {
  write_atomically(path, text_of(encode_png(image.rgb.data(), image.width, image.height, 3)));
}

void write_png(const std::string& path, const Grey& image) {
  write_atomically(path, text_of(encode_png(image.pixels.data(), image.width, image.height, 1)));
}

}  // namespace telltale
