#include "data/simple_formats.h"

#include <algorithm>
#include <cctype>
#include <climits>
#include <cstring>
#include <memory>
#include <optional>
#include <string_view>

#include "base/check.h"
#include "data/codec.h"
#include "data/white.h"

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wsign-compare"
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
#define STB_IMAGE_STATIC
#define STB_IMAGE_IMPLEMENTATION
#define STBI_ONLY_BMP
#define STBI_ONLY_GIF
#define STBI_ONLY_PNM
#define STBI_ONLY_TGA
#define STBI_NO_STDIO
#include <stb_image.h>
#pragma GCC diagnostic pop

namespace telltale {

namespace {

using Bytes = std::span<const uint8_t>;

/// Little-endian numbers; 0 beyond the end.
uint32_t number(Bytes bytes, size_t at, int count) {
  uint32_t v = 0;
  for (int i = count - 1; i >= 0; --i) v = v << 8 | (at + size_t(i) < bytes.size() ? bytes[at + size_t(i)] : 0);
  return v;
}

/// Hands stb the bytes and notes when it wants more than there are: it would go on with zeros.
struct Source {
  Bytes left;
  bool overrun = false;

  static int read(void* user, char* to, int count) {
    auto& s = *static_cast<Source*>(user);
    const size_t n = std::min(s.left.size(), size_t(count));
    s.overrun |= n == 0 && count > 0;
    std::copy_n(s.left.data(), n, to);
    s.left = s.left.subspan(n);
    return int(n);
  }
  static void skip(void* user, int count) {
    auto& s = *static_cast<Source*>(user);
    const size_t n = std::min(s.left.size(), size_t(std::max(count, 0)));
    s.overrun |= n < size_t(std::max(count, 0));
    s.left = s.left.subspan(n);
  }
  static int at_end(void* user) { return static_cast<Source*>(user)->left.empty(); }
};

struct StbFree {
  void operator()(uint8_t* p) const { stbi_image_free(p); }
};

/// How a file's bytes were found to be wrong before stb sees them; nothing where they were not.
using Fault = std::optional<std::string>;

constexpr const char* kTruncated = "truncated";

/// Rows must be there, and indices must lie in the palette: stb looks at neither.
Fault check_bmp(Bytes bytes) {
  const uint32_t offset = number(bytes, 10, 4), header = number(bytes, 14, 4);
  const bool old = header == 12;
  const int64_t width = old ? number(bytes, 18, 2) : int32_t(number(bytes, 18, 4));
  const int64_t height = old ? number(bytes, 20, 2) : std::abs(int64_t(int32_t(number(bytes, 22, 4))));
  const int64_t bits = number(bytes, old ? 24 : 28, 2);
  if (width <= 0 || height <= 0) return cat(width, "x", height, " pixels");
  const int64_t stride = (width * bits + 31) / 32 * 4;
  if (bits < 1 || bits > 32 || offset > bytes.size()) return "its header makes no sense";
  if (stride * height > int64_t(bytes.size() - offset)) return kTruncated;
  if (bits > 8 || offset < 14 + header) return std::nullopt;
  const uint32_t colours = (offset - 14 - header) / (old ? 3 : 4);
  const int per_byte = int(8 / bits);
  for (int64_t y = 0; y < height; ++y)
    for (int64_t x = 0; x < width; ++x) {
      const uint8_t byte = bytes[size_t(offset + y * stride + x / per_byte)];
      const uint32_t index = byte >> (8 - bits * (x % per_byte + 1)) & ((1u << bits) - 1);
      if (index >= colours) return cat("it uses colour ", index, " of a palette of ", colours);
    }
  return std::nullopt;
}

/// Of uncompressed ones every byte must be there.
Fault check_tga(Bytes bytes) {
  const uint32_t type = number(bytes, 2, 1), first = number(bytes, 3, 2), colours = number(bytes, 5, 2);
  const int64_t pixels = int64_t(number(bytes, 12, 2)) * number(bytes, 14, 2);
  const auto bytes_of = [](uint32_t bits) { return int64_t(bits + 7) / 8; };
  if (first != 0) return "its palette does not start at 0";
  const int64_t before = 18 + number(bytes, 0, 1) + (type == 1 ? colours * bytes_of(number(bytes, 7, 1)) : 0);
  if (type <= 3 && before + pixels * bytes_of(number(bytes, 16, 1)) > int64_t(bytes.size())) return kTruncated;
  return std::nullopt;
}

/// "P6 width height 255", comments between them, one space before the pixels.
Fault check_pnm(Bytes bytes) {
  size_t at = 2;
  int64_t values[3] = {0, 0, 0};
  for (int64_t& value : values) {
    while (at < bytes.size() && (std::isspace(bytes[at]) || bytes[at] == '#'))
      if (bytes[at++] == '#')
        while (at < bytes.size() && bytes[at] != '\n') ++at;
    if (at == bytes.size()) return kTruncated;
    for (; at < bytes.size() && std::isdigit(bytes[at]) && value < INT_MAX; ++at) value = value * 10 + bytes[at] - '0';
  }
  if (values[2] != 255) return cat("its brightest value is ", values[2], ", and only 255 is read");
  const int64_t needed = values[0] * values[1] * (bytes[1] == '6' ? 3 : 1);
  if (at + 1 > bytes.size() || needed > int64_t(bytes.size() - at - 1)) return kTruncated;
  return std::nullopt;
}

bool may_be_tga(Bytes bytes) {
  if (bytes.size() < 18) return false;
  const uint32_t colour_map = bytes[1], type = bytes[2], bits = bytes[16];
  const bool indexed = colour_map == 1 && (type == 1 || type == 9) && (bits == 8 || bits == 16);
  const bool direct = colour_map == 0 && (type == 2 || type == 3 || type == 10 || type == 11) &&
                      (bits == 8 || bits == 15 || bits == 16 || bits == 24 || bits == 32);
  return (indexed || direct) && number(bytes, 12, 2) > 0 && number(bytes, 14, 2) > 0;
}

bool ends_in_tga(const std::string& name) {
  std::string ending = name.substr(name.size() - std::min<size_t>(name.size(), 4));
  for (char& c : ending) c = char(std::tolower(static_cast<unsigned char>(c)));
  return ending == ".tga";
}

}  // namespace

const char* simple_format(Bytes bytes, const std::string& name) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (text.starts_with("BM") && text.size() >= 26) return "BMP";
  if (text.starts_with("GIF87a") || text.starts_with("GIF89a")) return "GIF";
  const bool pnm = text.size() > 2 && text[0] == 'P' && text[1] >= '1' && text[1] <= '6';
  if (pnm && std::isspace(static_cast<unsigned char>(text[2]))) return "PNM";
  return may_be_tga(bytes) && ends_in_tga(name) ? "TGA" : nullptr;
}

Image decode_simple(Bytes bytes, const std::string& name, Remarks* remarks) {
  const std::string_view format = simple_format(bytes, name);
  const auto refuse = [&](const std::string& why) {
    throw DataError(why == kTruncated
                        ? cat(name, ": truncated ", format, "; copy the file again or remove it")
                        : cat(name, ": a ", format, " that is not read (", why, "); convert it to JPEG or PNG"));
  };
  if (format == "PNM" && bytes[1] != '5' && bytes[1] != '6') refuse("not binary 8-bit grey or colour");
  int w = 0, h = 0, channels = 0;
  if (bytes.size() > INT_MAX || !stbi_info_from_memory(bytes.data(), int(bytes.size()), &w, &h, &channels))
    refuse(bytes.size() > INT_MAX ? "larger than 2 GiB" : stbi_failure_reason());
  TT_CHECK(int64_t(w) * h <= kMaxPixels, DataError, name, ": ", w, "x", h, " is more than ", kMaxPixels,
           " pixels; shrink the image first");
  const Fault fault = format == "BMP"   ? check_bmp(bytes)
                      : format == "PNM" ? check_pnm(bytes)
                      : format == "TGA" ? check_tga(bytes)
                                        : std::nullopt;
  if (fault) refuse(*fault);

  // What a BMP and a TGA without attribute bits keep in their fourth byte is no transparency.
  const bool has_alpha = format == "GIF" || (format == "TGA" && (bytes[17] & 15) != 0);
  Source source{bytes};
  const stbi_io_callbacks callbacks{Source::read, Source::skip, Source::at_end};
  const std::unique_ptr<uint8_t, StbFree> pixels(
      stbi_load_from_callbacks(&callbacks, &source, &w, &h, &channels, has_alpha ? 4 : 3));
  if (source.overrun) refuse(kTruncated);
  if (!pixels) refuse(stbi_failure_reason());
  Image image(w, h);
  if (has_alpha)
    lay_on_white(pixels.get(), size_t(w) * size_t(h), image.rgb.data());
  else
    std::copy_n(pixels.get(), image.rgb.size(), image.rgb.data());
  // Behind a still picture little more than the trailer's byte stands; stb reads ahead by 128 bytes.
  if (remarks && format == "GIF" && !source.left.empty())
    remarks->push_back(cat(name, ": of an animation its first picture is read"));
  return image;
}

}  // namespace telltale
