#include "data/jpeg.h"

#include <csetjmp>
#include <cstdio>
#include <cstdlib>
#include <cstring>
// libjpeg's headers need <cstdio> before them.
#include <jerror.h>
#include <jpeglib.h>

#include "base/check.h"
#include "data/codec.h"
#include "data/exif.h"

namespace telltale {

namespace {

// libjpeg reports through callbacks in C frames, where a C++ exception may not pass: it jumps out, and the C++ side
// throws. What is jumped over must own nothing.
struct JpegErrors {
  jpeg_error_mgr base;
  std::jmp_buf escape;
  char message[JMSG_LENGTH_MAX];
  bool truncated;
};

[[noreturn]] void jump_out(j_common_ptr jpeg) {
  auto* errors = reinterpret_cast<JpegErrors*>(jpeg->err);
  errors->base.format_message(jpeg, errors->message);
  errors->truncated = errors->base.msg_code == JWRN_JPEG_EOF || errors->base.msg_code == JWRN_HIT_MARKER ||
                      errors->base.msg_code == JERR_INPUT_EOF;
  std::longjmp(errors->escape, 1);
}

// Warnings mean invented pixels, so they are errors, but for rubbish between segments, which harms nothing.
void on_message(j_common_ptr jpeg, int level) {
  if (level >= 0) return;
  const int code = jpeg->err->msg_code;
  if (code != JWRN_EXTRANEOUS_DATA && code != JWRN_JFIF_MAJOR && code != JWRN_ADOBE_XFORM) jump_out(jpeg);
}

void set_up(JpegErrors& errors) {
  jpeg_std_error(&errors.base);
  errors.base.error_exit = jump_out;
  errors.base.emit_message = on_message;
  errors.truncated = false;
  errors.message[0] = 0;
}

// A progressive file of a few kilobytes can ask for thousands of scans over a large image.
void limit_scans(j_common_ptr jpeg) {
  constexpr int kMaxScans = 500;
  if (!jpeg->is_decompressor || reinterpret_cast<j_decompress_ptr>(jpeg)->input_scan_number <= kMaxScans) return;
  auto* errors = reinterpret_cast<JpegErrors*>(jpeg->err);
  std::snprintf(errors->message, sizeof errors->message, "more than %d scans", kMaxScans);
  std::longjmp(errors->escape, 1);
}

struct Decompressor {
  JpegErrors errors;
  jpeg_progress_mgr progress{};
  jpeg_decompress_struct jpeg{};
  Decompressor() {
    set_up(errors);
    jpeg.err = &errors.base;
    jpeg_create_decompress(&jpeg);
    progress.progress_monitor = limit_scans;
    jpeg.progress = &progress;
  }
  ~Decompressor() { jpeg_destroy_decompress(&jpeg); }
  Decompressor(const Decompressor&) = delete;
  Decompressor& operator=(const Decompressor&) = delete;

  // Calls into libjpeg; false when it jumped out.
  template <class F>
  bool run(F body) {
    if (setjmp(errors.escape) != 0) return false;
    body();
    return true;
  }
};

int orientation_of(const jpeg_decompress_struct& jpeg) {
  for (jpeg_saved_marker_ptr m = jpeg.marker_list; m; m = m->next)
    if (m->marker == JPEG_APP0 + 1 && m->data_length >= 4 && std::memcmp(m->data, "Exif", 4) == 0)
      return exif_orientation({m->data, m->data_length});
  return 1;
}

// Adobe's files hold the complement of the ink.
void cmyk_row_to_rgb(const uint8_t* cmyk, uint8_t* rgb, int width, bool complemented) {
  for (int x = 0; x < width; ++x, cmyk += 4, rgb += 3) {
    const int white = complemented ? cmyk[3] : 255 - cmyk[3];
    for (int c = 0; c < 3; ++c) rgb[c] = uint8_t(((complemented ? cmyk[c] : 255 - cmyk[c]) * white + 127) / 255);
  }
}

}  // namespace

bool is_jpeg(std::span<const uint8_t> bytes) {
  return bytes.size() >= 3 && bytes[0] == 0xff && bytes[1] == 0xd8 && bytes[2] == 0xff;
}

Image decode_jpeg(std::span<const uint8_t> bytes, const std::string& name) {
  Decompressor d;
  jpeg_decompress_struct& jpeg = d.jpeg;
  const auto fail = [&] {
    throw DataError(cat(name, ": ", d.errors.truncated ? "truncated" : "damaged", " JPEG (", d.errors.message,
                        "); copy the file again or remove it"));
  };
  if (!d.run([&] {
        jpeg_mem_src(&jpeg, bytes.data(), (unsigned long)bytes.size());
        jpeg_save_markers(&jpeg, JPEG_APP0 + 1, 0xffff);
        jpeg_read_header(&jpeg, TRUE);
      }))
    fail();
  const int64_t pixels = int64_t(jpeg.image_width) * jpeg.image_height;
  TT_CHECK(pixels <= kMaxPixels, DataError, name, ": ", jpeg.image_width, "x", jpeg.image_height, " is more than ",
           kMaxPixels, " pixels; shrink the image first");
  const bool cmyk = jpeg.jpeg_color_space == JCS_CMYK || jpeg.jpeg_color_space == JCS_YCCK;
  jpeg.out_color_space = cmyk ? JCS_CMYK : JCS_RGB;
  const int orientation = orientation_of(jpeg);

  Image image(int(jpeg.image_width), int(jpeg.image_height));
  std::vector<uint8_t> line(cmyk ? size_t(image.width) * 4 : 0);
  uint8_t* const ink = line.data();
  if (!d.run([&] {
        jpeg_start_decompress(&jpeg);
        while (jpeg.output_scanline < jpeg.output_height) {
          const int y = int(jpeg.output_scanline);
          JSAMPROW row = cmyk ? ink : image.at(0, y);
          jpeg_read_scanlines(&jpeg, &row, 1);
          if (cmyk) cmyk_row_to_rgb(ink, image.at(0, y), image.width, jpeg.saw_Adobe_marker);
        }
        jpeg_finish_decompress(&jpeg);
      }))
    fail();
  return upright(std::move(image), orientation);
}

std::vector<uint8_t> encode_jpeg(const Image& image, int quality) {
  TT_CHECK(quality >= 1 && quality <= 100, UsageError, "JPEG quality ", quality, ": expected 1 to 100");
  JpegErrors errors;
  set_up(errors);
  jpeg_compress_struct jpeg{};
  jpeg.err = &errors.base;
  // libjpeg owns the growing buffer through these two until the end.
  struct Output {
    unsigned char* bytes = nullptr;
    unsigned long size = 0;
    ~Output() { std::free(bytes); }
  } output;
  if (setjmp(errors.escape) != 0) {
    jpeg_destroy_compress(&jpeg);
    throw DataError(cat("cannot encode a JPEG of ", image.width, "x", image.height, ": ", errors.message));
  }
  jpeg_create_compress(&jpeg);
  jpeg_mem_dest(&jpeg, &output.bytes, &output.size);
  jpeg.image_width = JDIMENSION(image.width);
  jpeg.image_height = JDIMENSION(image.height);
  jpeg.input_components = 3;
  jpeg.in_color_space = JCS_RGB;
  jpeg_set_defaults(&jpeg);  // 4:2:0
  jpeg_set_quality(&jpeg, quality, TRUE);
  jpeg_start_compress(&jpeg, TRUE);
  while (jpeg.next_scanline < jpeg.image_height) {
    JSAMPROW row = const_cast<uint8_t*>(image.at(0, int(jpeg.next_scanline)));
    jpeg_write_scanlines(&jpeg, &row, 1);
  }
  jpeg_finish_compress(&jpeg);
  jpeg_destroy_compress(&jpeg);
  return {output.bytes, output.bytes + output.size};
}

}  // namespace telltale
