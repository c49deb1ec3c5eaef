#pragma once
// Pictures as bytes of formats that the project does not write.
#include <webp/encode.h>

#include <cstdio>
#include <cstdlib>
#include <string>
// libjpeg's header needs <cstdio> before it.
#include <jpeglib.h>

#include "data/exif.h"
#include "tests/data/data_fixture.h"

namespace telltale {

using Bytes = std::vector<uint8_t>;

// A JPEG in any colour space, with an optional APP1 segment; `pixels` has `channels` a pixel.
inline Bytes jpeg_of(const Bytes& pixels, int width, int height, int channels, J_COLOR_SPACE in, J_COLOR_SPACE stored,
                     const Bytes& app1 = {}, bool progressive = false, bool arithmetic = false) {
  jpeg_compress_struct jpeg{};
  jpeg_error_mgr errors;
  jpeg.err = jpeg_std_error(&errors);
  jpeg_create_compress(&jpeg);
  unsigned char* out = nullptr;
  unsigned long size = 0;
  jpeg_mem_dest(&jpeg, &out, &size);
  jpeg.image_width = width;
  jpeg.image_height = height;
  jpeg.input_components = channels;
  jpeg.in_color_space = in;
  jpeg_set_defaults(&jpeg);
  jpeg_set_colorspace(&jpeg, stored);
  jpeg_set_quality(&jpeg, 95, TRUE);
  if (progressive) jpeg_simple_progression(&jpeg);
  jpeg.arith_code = arithmetic ? TRUE : FALSE;
  jpeg_start_compress(&jpeg, TRUE);
  if (!app1.empty()) jpeg_write_marker(&jpeg, JPEG_APP0 + 1, app1.data(), unsigned(app1.size()));
  for (int y = 0; y < height; ++y) {
    JSAMPROW row = const_cast<uint8_t*>(pixels.data()) + size_t(y) * width * channels;
    jpeg_write_scanlines(&jpeg, &row, 1);
  }
  jpeg_finish_compress(&jpeg);
  jpeg_destroy_compress(&jpeg);
  Bytes bytes(out, out + size);
  std::free(out);
  return bytes;
}

/// An EXIF segment that says `orientation`, as a SHORT.
inline Bytes exif(int orientation, bool little) {
  const uint8_t o = uint8_t(orientation);
  if (little)
    return {'E',  'x', 'i', 'f', 0, 0, 'I', 'I', 42, 0, 8, 0, 0, 0, 1, 0,
            0x12, 1,   3,   0,   1, 0, 0,   0,   o,  0, 0, 0, 0, 0, 0, 0};
  return {'E', 'x',  'i', 'f', 0, 0, 'M', 'M', 0, 42, 0, 0, 0, 8, 0, 1,
          1,   0x12, 0,   3,   0, 0, 0,   1,   0, o,  0, 0, 0, 0, 0, 0};
}

// A quarter of a turn clockwise, as orientation 6 asks for.
inline Image turned(const Image& image) { return upright(image, 6); }

inline Bytes bytes_of(const std::string& text) { return {text.begin(), text.end()}; }

inline Bytes webp_of(const Image& image) {
  uint8_t* out = nullptr;
  const size_t size = WebPEncodeLosslessRGB(image.rgb.data(), image.width, image.height, 3 * image.width, &out);
  const Bytes bytes(out, out + size);
  WebPFree(out);
  return bytes;
}

inline void append(Bytes& to, std::initializer_list<uint32_t> numbers, int size) {
  for (const uint32_t n : numbers)
    for (int i = 0; i < size; ++i) to.push_back(uint8_t(n >> (8 * i)));
}

// 24 bits, rows from below.
inline Bytes bmp_of(const Image& image) {
  Bytes bytes{'B', 'M'};
  append(bytes, {0, 0, 54, 40, uint32_t(image.width), uint32_t(image.height)}, 4);
  append(bytes, {1, 24}, 2);
  append(bytes, {0, 0, 0, 0, 0, 0}, 4);
  for (int y = image.height - 1; y >= 0; --y) {
    for (int x = 0; x < image.width; ++x)
      for (int c = 2; c >= 0; --c) bytes.push_back(image.at(x, y)[c]);
    bytes.resize((bytes.size() - 54 + 3) / 4 * 4 + 54);
  }
  return bytes;
}

inline void append_chunk(Bytes& png, const std::string& type, const Bytes& content) {
  uint32_t crc = 0xffffffffu;
  const auto add = [&](uint8_t b) {
    png.push_back(b);
    crc ^= b;
    for (int i = 0; i < 8; ++i) crc = crc & 1 ? 0xedb88320u ^ (crc >> 1) : crc >> 1;
  };
  for (int s = 24; s >= 0; s -= 8) png.push_back(uint8_t(content.size() >> s));
  for (const char c : type) add(uint8_t(c));
  for (const uint8_t b : content) add(b);
  const uint32_t sum = ~crc;
  for (int s = 24; s >= 0; s -= 8) png.push_back(uint8_t(sum >> s));
}

// A PNG written by hand: rows already carry their filter byte; the zlib stream is one stored block.
inline Bytes png_of(uint32_t width, uint32_t height, uint8_t depth, uint8_t colour, const Bytes& rows) {
  Bytes png{0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'}, header;
  for (const uint32_t v : {width, height})
    for (int s = 24; s >= 0; s -= 8) header.push_back(uint8_t(v >> s));
  header.insert(header.end(), {depth, colour, 0, 0, 0});
  append_chunk(png, "IHDR", header);
  const uint16_t n = uint16_t(rows.size());
  Bytes zlib{0x78, 0x01, 1, uint8_t(n), uint8_t(n >> 8), uint8_t(~n), uint8_t(uint16_t(~n) >> 8)};
  zlib.insert(zlib.end(), rows.begin(), rows.end());
  uint32_t a = 1, b = 0;
  for (const uint8_t v : rows) a = (a + v) % 65521, b = (b + a) % 65521;
  for (const uint32_t v : {b >> 8, b, a >> 8, a}) zlib.push_back(uint8_t(v));
  append_chunk(png, "IDAT", zlib);
  append_chunk(png, "IEND", {});
  return png;
}

}  // namespace telltale
