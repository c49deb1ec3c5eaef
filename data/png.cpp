#include "data/png.h"

#include <png.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <csetjmp>
#include <cstdio>
#include <cstring>
#include <new>
#include <string_view>

#include "base/check.h"
#include "data/codec.h"
#include "data/exif.h"
#include "data/white.h"

namespace telltale {

namespace {

constexpr std::array<uint8_t, 8> kSignature{0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};

// libpng reports through callbacks in C frames, where a C++ exception may not pass: it jumps out, and the C++ side
// throws. What is jumped over must own nothing.
struct PngState {
  std::jmp_buf escape;
  std::array<char, 200> message{};
  bool truncated = false;
  std::span<const uint8_t> in;          ///< what is left to read
  std::vector<uint8_t>* out = nullptr;  ///< what was written
};

[[noreturn]] void jump_out(png_structp png, png_const_charp message) {
  auto* state = static_cast<PngState*>(png_get_error_ptr(png));
  std::snprintf(state->message.data(), state->message.size(), "%s", message);
  std::longjmp(state->escape, 1);
}

void ignore_warning(png_structp, png_const_charp) {}

void take_bytes(png_structp png, png_bytep to, size_t count) {
  auto* state = static_cast<PngState*>(png_get_io_ptr(png));
  if (count > state->in.size()) {
    state->truncated = true;
    png_error(png, "the file ends too early");
  }
  std::copy_n(state->in.data(), count, to);
  state->in = state->in.subspan(count);
}

void put_bytes(png_structp png, png_bytep from, size_t count) {
  std::vector<uint8_t>& out = *static_cast<PngState*>(png_get_io_ptr(png))->out;
  bool fits = true;
  try {
    out.insert(out.end(), from, from + count);
  } catch (const std::bad_alloc&) {
    fits = false;
  }
  if (!fits) png_error(png, "out of memory");
}

struct Reader {
  PngState state;
  png_structp png = nullptr;
  png_infop info = nullptr, end = nullptr;
  explicit Reader(std::span<const uint8_t> bytes) {
    state.in = bytes;
    png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &state, jump_out, ignore_warning);
    info = png ? png_create_info_struct(png) : nullptr;
    end = png ? png_create_info_struct(png) : nullptr;
    if (!end || !info) throw std::bad_alloc();
    png_set_read_fn(png, &state, take_bytes);
  }
  ~Reader() { png_destroy_read_struct(&png, &info, &end); }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  // Calls into libpng; false when it jumped out.
  template <class F>
  bool run(F body) {
    if (setjmp(state.escape) != 0) return false;
    body();
    return true;
  }
};

/// The colours of a picture's indices, laid on white.
struct Palette {
  int colours = 0;
  std::array<std::array<uint8_t, 3>, 256> rgb{};
  int highest = 0;  ///< index that was looked up

  Palette(png_structp png, png_infop info) {
    png_colorp entries = nullptr;
    png_bytep alphas = nullptr;
    int alpha_count = 0;
    png_get_PLTE(png, info, &entries, &colours);
    png_get_tRNS(png, info, &alphas, &alpha_count, nullptr);
    for (int i = 0; i < colours; ++i) {
      const std::array<uint8_t, 4> rgba{entries[i].red, entries[i].green, entries[i].blue,
                                        i < alpha_count ? alphas[i] : uint8_t(255)};
      lay_on_white(rgba.data(), 1, rgb[size_t(i)].data());
    }
  }
  void look_up(const uint8_t* indices, size_t pixels, uint8_t* to) {
    for (size_t i = 0; i < pixels; ++i, to += 3) {
      highest = std::max<int>(highest, indices[i]);
      std::copy_n(rgb[indices[i]].data(), 3, to);
    }
  }
};

/// The first eXIf chunk. Not by libpng, which passes over those that begin with "Exif\0\0", as some programs write
/// them. Of a chunk whose checksum is wrong nothing is believed.
std::span<const uint8_t> exif_chunk(std::span<const uint8_t> png) {
  const auto number = [&](size_t at) {
    return size_t(png[at]) << 24 | size_t(png[at + 1]) << 16 | size_t(png[at + 2]) << 8 | png[at + 3];
  };
  constexpr size_t kAround = 12;  // length, name, checksum
  for (size_t at = kSignature.size(); at + kAround <= png.size();) {
    const size_t length = number(at);
    if (length > png.size() - at - kAround) break;
    if (std::memcmp(&png[at + 4], "eXIf", 4) == 0 &&
        crc32(0, &png[at + 4], uInt(length + 4)) == number(at + 8 + length))
      return png.subspan(at + 8, length);
    at += kAround + length;
  }
  return {};
}

/// "\nexif\n      38\n45786966…": how ImageMagick keeps EXIF in a text.
std::vector<uint8_t> bytes_of_profile(std::string_view text) {
  std::vector<uint8_t> bytes;
  for (int line = 0; line < 3; ++line) {
    const size_t end = text.find('\n');
    if (end == text.npos) return bytes;
    text.remove_prefix(end + 1);
  }
  int high = -1;
  for (const char c : text) {
    const int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
    if (digit < 0) continue;
    if (high >= 0) bytes.push_back(uint8_t(16 * high + digit));
    high = high < 0 ? digit : -1;
  }
  return bytes;
}

/// EXIF and XMP may stand before the pixels or behind them.
int stored_orientation(std::span<const uint8_t> file, png_structp png, png_infop info, png_infop end) {
  std::span<const uint8_t> exif = exif_chunk(file);
  std::vector<uint8_t> profile;
  std::string_view xmp;
  for (const png_infop part : {info, end}) {
    png_textp texts = nullptr;
    int count = 0;
    png_get_text(png, part, &texts, &count);
    for (int i = 0; i < count; ++i) {
      const std::string_view key = texts[i].key, text = texts[i].text ? texts[i].text : "";
      if (xmp.empty() && key == "XML:com.adobe.xmp") xmp = text;
      if (profile.empty() && (key == "Raw profile type exif" || key == "Raw profile type APP1"))
        profile = bytes_of_profile(text);
    }
  }
  return orientation_of(exif.empty() ? profile : exif, xmp);
}

}  // namespace

bool is_png(std::span<const uint8_t> bytes) {
  return bytes.size() >= kSignature.size() && std::memcmp(bytes.data(), kSignature.data(), kSignature.size()) == 0;
}

Image decode_png(std::span<const uint8_t> bytes, const std::string& name, Remarks* remarks) {
  Reader r(bytes);
  const auto fail = [&] {
    if (std::string_view(r.state.message.data()) == "Out of memory") throw std::bad_alloc();
    throw DataError(cat(name, ": ", r.state.truncated ? "truncated" : "damaged", " PNG (", r.state.message.data(),
                        "); copy the file again or remove it"));
  };
  int passes = 1;
  if (!r.run([&] {
        png_set_user_limits(r.png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);  // kMaxPixels is the limit
        png_read_info(r.png, r.info);
      }))
    fail();
  const int64_t width = png_get_image_width(r.png, r.info), height = png_get_image_height(r.png, r.info);
  TT_CHECK(width * height <= kMaxPixels, DataError, name, ": ", width, "x", height, " is more than ", kMaxPixels,
           " pixels; shrink the image first");
  // Deflate makes at most 1032 bytes of one: a few bytes that promise a large picture are cut short.
  const int64_t promised = int64_t(png_get_rowbytes(r.png, r.info)) * height;
  TT_CHECK(promised / 1040 <= int64_t(bytes.size()), DataError, name,
           ": truncated PNG (too few bytes for its size); copy the file again or remove it");
  const bool indexed = png_get_color_type(r.png, r.info) == PNG_COLOR_TYPE_PALETTE;
  if (!r.run([&] {
        if (indexed) {
          png_set_packing(r.png);
        } else {
          png_set_expand(r.png);
          png_set_strip_16(r.png);
          png_set_gray_to_rgb(r.png);
          png_set_add_alpha(r.png, 0xff, PNG_FILLER_AFTER);
        }
        passes = png_set_interlace_handling(r.png);
        png_read_update_info(r.png, r.info);
      }))
    fail();

  Image image{int(width), int(height)};
  Palette palette(r.png, r.info);
  // An interlaced picture comes in passes over all its rows, any other one row by row.
  const int64_t stride = (indexed ? 1 : 4) * width;
  std::vector<uint8_t> stored(size_t(stride * (passes > 1 ? height : 1)));
  uint8_t* const first = stored.data();
  const auto convert = [&](const uint8_t* row, int64_t y) {
    uint8_t* const to = image.at(0, int(y));
    indexed ? palette.look_up(row, size_t(width), to) : lay_on_white(row, size_t(width), to);
  };
  if (!r.run([&] {
        for (int pass = 0; pass < passes; ++pass)
          for (int64_t y = 0; y < height; ++y) {
            uint8_t* const row = first + (passes > 1 ? y * stride : 0);
            png_read_row(r.png, row, nullptr);
            if (pass == passes - 1) convert(row, y);
          }
      }))
    fail();
  TT_CHECK(!indexed || palette.highest < palette.colours, DataError, name, ": damaged PNG (it uses colour ",
           palette.highest, " of a palette of ", palette.colours, "); copy the file again or remove it");
  // Every pixel is there: what may be wrong behind them does no harm.
  if (!r.run([&] { png_read_end(r.png, r.end); }) && remarks)
    remarks->push_back(cat(name, ": ", r.state.message.data(), " behind its pixels; every pixel is there"));
  return upright(std::move(image), stored_orientation(bytes, r.png, r.info, r.end));
}

std::vector<uint8_t> encode_png(const uint8_t* pixels, int width, int height, int channels) {
  TT_CHECK(width > 0 && height > 0, ShapeError, "PNG of ", width, "x", height, ": sizes must be positive");
  std::vector<uint8_t> out;
  PngState state;
  state.out = &out;
  struct Writer {
    png_structp png;
    png_infop info;
    ~Writer() { png_destroy_write_struct(&png, &info); }
  } w{png_create_write_struct(PNG_LIBPNG_VER_STRING, &state, jump_out, ignore_warning), nullptr};
  w.info = w.png ? png_create_info_struct(w.png) : nullptr;
  if (!w.info) throw std::bad_alloc();
  if (setjmp(state.escape) != 0)
    throw DataError(cat("cannot encode a PNG of ", width, "x", height, ": ", state.message.data()));
  png_set_write_fn(w.png, &state, put_bytes, nullptr);
  png_set_user_limits(w.png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
  png_set_IHDR(w.png, w.info, png_uint_32(width), png_uint_32(height), 8,
               channels == 1 ? PNG_COLOR_TYPE_GRAY : PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE,
               PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  png_write_info(w.png, w.info);
  for (int y = 0; y < height; ++y) png_write_row(w.png, pixels + size_t(y) * size_t(width) * size_t(channels));
  png_write_end(w.png, nullptr);
  return out;
}

}  // namespace telltale
