#include "data/simple_formats.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <climits>
#include <cstring>
#include <memory>
#include <new>
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

/// What a BMP's headers say.
struct Bmp {
  explicit Bmp(Bytes bytes) : offset(number(bytes, 10, 4)), header(number(bytes, 14, 4)), old(header == 12) {
    width = old ? number(bytes, 18, 2) : int64_t(int32_t(number(bytes, 18, 4)));
    height = old ? number(bytes, 20, 2) : int64_t(int32_t(number(bytes, 22, 4)));
    bits = number(bytes, old ? 24 : 28, 2);
    compression = old ? 0 : number(bytes, 30, 4);
    has_masks = compression == kFields && header != 64;  // OS/2 calls another compression so
    has_alpha = has_masks && bits == 32 && header >= 56 && number(bytes, 66, 4) != 0;
    stride = (width * bits + 31) / 32 * 4;
    palette = 14 + int64_t(header) + (has_masks && header == 40 ? 12 : 0);
    colours = bits <= 8 && offset > palette ? (offset - palette) / (old ? 3 : 4) : 0;
  }
  static constexpr uint32_t kFields = 3;
  uint32_t offset, header;
  bool old, has_masks, has_alpha;
  int64_t width, height, bits, stride;  ///< a height below 0: rows from above
  uint32_t compression;
  int64_t palette, colours;  ///< where it begins, and how many lie before the pixels
};

/// Whether a · b > most, of numbers that are not negative and whose product may be beyond 64 bits.
bool exceeds(int64_t a, int64_t b, int64_t most) { return a > 0 && b > most / a; }

/// Pixels must be there, and indices must lie in the palette: stb looks at neither.
Fault check_bmp(Bytes bytes) {
  const Bmp b(bytes);
  const int64_t height = std::abs(b.height);
  if (b.width <= 0 || height == 0) return cat(b.width, "x", height, " pixels");
  if (b.bits < 1 || b.bits > 32 || b.offset < 14 + int64_t(b.header)) return "its header makes no sense";
  // Windows' of five generations and OS/2's of two.
  constexpr std::array<uint32_t, 7> kHeaders{12, 40, 52, 56, 64, 108, 124};
  if (std::find(kHeaders.begin(), kHeaders.end(), b.header) == kHeaders.end())
    return cat("a header of ", b.header, " bytes");
  if (b.compression != 0 && !b.has_masks) return "its pixels are packed";
  if (b.bits < 8 && 8 % b.bits != 0) return cat("of ", b.bits, " bits a pixel");
  if (b.offset > bytes.size()) return kTruncated;
  const int64_t last_row = (b.width * b.bits + 7) / 8;  // its padding may be missing
  const int64_t before_it = int64_t(bytes.size() - b.offset) - last_row;
  if (before_it < 0 || exceeds(b.stride, height - 1, before_it)) return kTruncated;
  if (b.bits > 8) return std::nullopt;
  const int per_byte = int(8 / b.bits);
  for (int64_t y = 0; y < height; ++y)
    for (int64_t x = 0; x < b.width; ++x) {
      const uint8_t byte = bytes[size_t(b.offset + y * b.stride + x / per_byte)];
      const uint32_t index = byte >> (8 - b.bits * (x % per_byte + 1)) & ((1u << b.bits) - 1);
      if (index >= b.colours) return cat("it uses colour ", index, " of a palette of ", b.colours);
    }
  return std::nullopt;
}

/// The same picture with the headers that stb knows, nothing between its parts, and its last row's padding.
std::vector<uint8_t> plain_bmp(Bytes bytes) {
  const Bmp b(bytes);
  constexpr uint32_t kHeader = 108;
  const size_t palette = size_t(std::min<int64_t>(b.colours, 256));
  std::vector<uint8_t> plain(14 + kHeader);
  const auto set = [&](size_t at, uint32_t value, int count) {
    for (int i = 0; i < count; ++i) plain[at + size_t(i)] = uint8_t(value >> (8 * i));
  };
  plain[0] = 'B', plain[1] = 'M';
  set(10, uint32_t(14 + kHeader + 4 * palette), 4);
  set(14, kHeader, 4);
  set(18, uint32_t(b.width), 4);
  set(22, uint32_t(b.height), 4);
  set(26, 1, 2);
  set(28, uint32_t(b.bits), 2);
  set(30, b.compression, 4);
  if (b.has_masks)
    for (size_t at = 54; at < (b.has_alpha ? 70 : 66); at += 4) set(at, number(bytes, at, 4), 4);
  const size_t each = b.old ? 3 : 4;
  for (size_t i = 0; i < palette; ++i) {
    const Bytes colour = bytes.subspan(size_t(b.palette) + i * each, 3);
    plain.insert(plain.end(), colour.begin(), colour.end());
    plain.push_back(0);
  }
  const size_t pixels = size_t(b.stride * std::abs(b.height)), there = std::min(pixels, bytes.size() - b.offset);
  plain.insert(plain.end(), bytes.begin() + b.offset, bytes.begin() + b.offset + ptrdiff_t(there));
  plain.resize(plain.size() + pixels - there);
  return plain;
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
struct Pnm {
  int64_t width = 0, height = 0;
  int channels = 0;
  size_t pixels = 0;  ///< where they begin
  Fault fault;

  explicit Pnm(Bytes bytes) : channels(bytes[1] == '6' ? 3 : 1), fault(read(bytes)) {}

 private:
  Fault read(Bytes bytes) {
    if (bytes[1] != '5' && bytes[1] != '6') return "not binary 8-bit grey or colour";
    size_t at = 2;
    int64_t brightest = 0;
    for (int64_t* value : {&width, &height, &brightest}) {
      while (at < bytes.size() && (std::isspace(bytes[at]) || bytes[at] == '#'))
        if (bytes[at++] == '#')
          while (at < bytes.size() && bytes[at] != '\n' && bytes[at] != '\r') ++at;
      if (at == bytes.size()) return kTruncated;
      if (!std::isdigit(bytes[at])) return "its header is not numbers";
      for (; at < bytes.size() && std::isdigit(bytes[at]); ++at)
        *value = std::min<int64_t>(*value * 10 + bytes[at] - '0', INT_MAX);
    }
    if (brightest != 255) return cat("its brightest value is ", brightest, ", and only 255 is read");
    if (width == 0 || height == 0) return "it has no pixels";
    pixels = at + 1;
    if (at >= bytes.size() || exceeds(width, height * channels, int64_t(bytes.size() - pixels))) return kTruncated;
    return std::isspace(bytes[at]) ? std::nullopt : Fault("its header is not numbers");
  }
};

Image picture_of(const Pnm& pnm, Bytes bytes) {
  Image image(int(pnm.width), int(pnm.height));
  const uint8_t* from = bytes.data() + pnm.pixels;
  if (pnm.channels == 3) {
    std::copy_n(from, image.rgb.size(), image.rgb.begin());
  } else {
    for (auto to = image.rgb.begin(); to != image.rgb.end(); to += 3) std::fill_n(to, 3, *from++);
  }
  return image;
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
  const bool pnm = text.size() > 2 && text[0] == 'P' && text[1] >= '1' && text[1] <= '6';
  if (pnm && std::isspace(static_cast<unsigned char>(text[2]))) return "PNM";
  return may_be_tga(bytes) && ends_in_tga(name) ? "TGA" : nullptr;
}

Image decode_simple(Bytes bytes, const std::string& name) {
  const std::string_view format = simple_format(bytes, name);
  const auto check_pixels = [&](int64_t width, int64_t height) {
    TT_CHECK(width <= kMaxPixels / std::max<int64_t>(height, 1), DataError, name, ": ", width, "x", height,
             " is more than ", kMaxPixels, " pixels; shrink the image first");
  };
  const auto refuse = [&](const std::string& why) {
    throw DataError(why == kTruncated
                        ? cat(name, ": truncated ", format, "; copy the file again or remove it")
                        : cat(name, ": a ", format, " that is not read (", why, "); convert it to JPEG or PNG"));
  };
  if (format == "PNM") {
    const Pnm pnm(bytes);
    if (pnm.fault) refuse(*pnm.fault);
    check_pixels(pnm.width, pnm.height);
    return picture_of(pnm, bytes);
  }
  if (const Bmp b(bytes); format == "BMP" && b.width > 0 && b.height != 0) check_pixels(b.width, std::abs(b.height));
  const Fault fault = format == "BMP" ? check_bmp(bytes) : check_tga(bytes);
  if (fault) refuse(*fault);
  std::vector<uint8_t> plain;
  // What a TGA without attribute bits and a BMP without a mask for it keep in their fourth byte is no transparency.
  const bool has_alpha = format == "BMP" ? Bmp(bytes).has_alpha : format == "TGA" && (bytes[17] & 15) != 0;
  if (format == "BMP") bytes = plain = plain_bmp(bytes);
  int w = 0, h = 0, channels = 0;
  if (bytes.size() > INT_MAX || !stbi_info_from_memory(bytes.data(), int(bytes.size()), &w, &h, &channels))
    refuse(bytes.size() > INT_MAX ? "larger than 2 GiB" : stbi_failure_reason());
  check_pixels(w, h);
  Source source{bytes};
  const stbi_io_callbacks callbacks{Source::read, Source::skip, Source::at_end};
  const std::unique_ptr<uint8_t, StbFree> pixels(
      stbi_load_from_callbacks(&callbacks, &source, &w, &h, &channels, has_alpha ? 4 : 3));
  if (source.overrun) refuse(kTruncated);
  if (!pixels && stbi_failure_reason() == std::string_view("outofmem")) throw std::bad_alloc();
  if (!pixels) refuse(stbi_failure_reason());
  Image image(w, h);
  if (has_alpha)
    lay_on_white(pixels.get(), size_t(w) * size_t(h), image.rgb.data());
  else
    std::copy_n(pixels.get(), image.rgb.size(), image.rgb.data());
  return image;
}

}  // namespace telltale
