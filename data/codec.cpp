#include "data/codec.h"

#include <sys/stat.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

#include "base/atomic_file.h"
#include "base/check.h"
#include "data/jpeg.h"
#include "data/png.h"

namespace telltale {

namespace {

std::string_view text_of(const std::vector<uint8_t>& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace

std::vector<uint8_t> read_file(const std::string& path) {
  struct Close {
    void operator()(FILE* f) const { std::fclose(f); }
  };
  const std::unique_ptr<FILE, Close> file(std::fopen(path.c_str(), "rbe"));
  TT_CHECK(file, DataError, path, ": cannot open: ", std::strerror(errno));
  struct stat info;
  TT_CHECK(::fstat(fileno(file.get()), &info) == 0, DataError, path, ": cannot read: ", std::strerror(errno));
  TT_CHECK(S_ISREG(info.st_mode), DataError, path, ": not a file");
  std::vector<uint8_t> bytes(static_cast<size_t>(info.st_size));
  TT_CHECK(std::fread(bytes.data(), 1, bytes.size(), file.get()) == bytes.size(), DataError, path,
           ": cannot read: ", std::ferror(file.get()) ? std::strerror(errno) : "it shrank meanwhile");
  return bytes;
}

Image decode_image(std::span<const uint8_t> bytes, const std::string& name) {
  TT_CHECK(!bytes.empty(), DataError, name, ": empty file (0 bytes); copy it again or remove it");
  if (is_jpeg(bytes)) return decode_jpeg(bytes, name);
  if (is_png(bytes)) return decode_png(bytes, name);
  throw DataError(cat(name, ": neither a JPEG nor a PNG; convert it or remove it"));
}

Image read_image(const std::string& path) { return decode_image(read_file(path), path); }

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
