#include "data/jpeg.h"

#include <algorithm>
#include <array>
#include <csetjmp>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <new>
#include <numeric>
#include <string_view>
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
  int code;           ///< of the error
  bool ended;         ///< the bytes ended before the image's end marker
  bool odd_sequence;  ///< a scan header with a progressive image's numbers in a sequential one
};

[[noreturn]] void jump_out(j_common_ptr jpeg) {
  auto* errors = reinterpret_cast<JpegErrors*>(jpeg->err);
  errors->base.format_message(jpeg, errors->message);
  errors->code = errors->base.msg_code;
  std::longjmp(errors->escape, 1);
}

// A warning means invented pixels, so it is an error, but for what harms none: rubbish between segments, marks that
// contradict each other, and bytes that end (JWRN_HIT_MARKER says when a pixel was missing them).
void on_message(j_common_ptr jpeg, int level) {
  if (level >= 0) return;
  auto* errors = reinterpret_cast<JpegErrors*>(jpeg->err);
  switch (errors->base.msg_code) {
    case JWRN_EXTRANEOUS_DATA:
    case JWRN_JFIF_MAJOR:
    case JWRN_ADOBE_XFORM: return;
    case JWRN_NOT_SEQUENTIAL: errors->odd_sequence = true; return;
    case JWRN_JPEG_EOF: errors->ended = true; return;
    default: jump_out(jpeg);
  }
}

void set_up(JpegErrors& errors) {
  jpeg_std_error(&errors.base);
  errors.base.error_exit = jump_out;
  errors.base.emit_message = on_message;
  errors.code = 0;
  errors.ended = errors.odd_sequence = false;
  errors.message[0] = 0;
}

/// Whether the error is that libjpeg does not read such files, not that this one is broken.
bool is_unsupported(int code) {
  for (const int known : {JERR_BAD_PRECISION, JERR_SOF_UNSUPPORTED, JERR_ARITH_NOTIMPL, JERR_CONVERSION_NOTIMPL,
                          JERR_COMPONENT_COUNT, JERR_FRACT_SAMPLE_NOTIMPL, JERR_CCIR601_NOTIMPL, JERR_NOTIMPL,
                          JERR_IMAGE_TOO_BIG, JERR_WIDTH_OVERFLOW, JERR_NOT_COMPILED})
    if (code == known) return true;
  return false;
}

/// The scans of a JPEG of several: which have been read, and whether the picture needs no more.
struct Scans {
  jpeg_progress_mgr progress{};
  std::array<bool, MAX_COMPONENTS> seen{};  ///< components, by index, of which a scan was read to its end
  bool complete = false;

  void note(jpeg_decompress_struct& jpeg) {
    // At the end of a scan, before the next marker is looked for.
    if (jpeg.input_iMCU_row != jpeg.total_iMCU_rows) return;
    for (int i = 0; i < jpeg.comps_in_scan; ++i) seen[size_t(jpeg.cur_comp_info[i]->component_index)] = true;
    complete = true;
    for (int c = 0; c < jpeg.num_components; ++c) {
      complete &= seen[size_t(c)];
      // Of a progressive image every bit of every coefficient.
      if (jpeg.coef_bits)
        complete &= std::all_of(jpeg.coef_bits[c], jpeg.coef_bits[c] + DCTSIZE2, [](int b) { return b == 0; });
    }
    if (!complete) return;
    // Nothing that follows can change the picture: neither a missing end marker nor a maker's trailer is looked at.
    static constexpr std::array<JOCTET, 2> kEnd{0xff, JPEG_EOI};
    jpeg.src->next_input_byte = kEnd.data();
    jpeg.src->bytes_in_buffer = kEnd.size();
    jpeg.unread_marker = 0;
  }
};

void on_progress(j_common_ptr common) {
  if (!common->is_decompressor) return;
  auto* jpeg = reinterpret_cast<j_decompress_ptr>(common);
  // A progressive file of a few kilobytes can ask for thousands of scans over a large image.
  constexpr int kMaxScans = 500;
  if (jpeg->input_scan_number > kMaxScans) {
    auto* errors = reinterpret_cast<JpegErrors*>(jpeg->err);
    std::snprintf(errors->message, sizeof errors->message, "more than %d scans", kMaxScans);
    std::longjmp(errors->escape, 1);
  }
  reinterpret_cast<Scans*>(jpeg->progress)->note(*jpeg);
}

struct Decompressor {
  JpegErrors errors;
  Scans scans;
  jpeg_decompress_struct jpeg{};
  Decompressor() {
    set_up(errors);
    jpeg.err = &errors.base;
    jpeg_create_decompress(&jpeg);
    scans.progress.progress_monitor = on_progress;
    jpeg.progress = &scans.progress;
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

int stored_orientation(const jpeg_decompress_struct& jpeg) {
  constexpr std::string_view kExif("Exif\0\0", 6), kXmp("http://ns.adobe.com/xap/1.0/\0", 29);
  std::span<const uint8_t> exif;
  std::string_view xmp;
  for (jpeg_saved_marker_ptr m = jpeg.marker_list; m; m = m->next) {
    const std::string_view text(reinterpret_cast<const char*>(m->data), m->data_length);
    if (exif.empty() && text.starts_with(kExif)) exif = {m->data, m->data_length};
    if (xmp.empty() && text.starts_with(kXmp)) xmp = text.substr(kXmp.size());
  }
  return orientation_of(exif, xmp);
}

// Adobe's files hold the complement of the ink, and so, by the same convention, do those without its marker: Pillow,
// OpenCV and browsers read them so.
void cmyk_row_to_rgb(const uint8_t* cmyk, uint8_t* rgb, int width) {
  for (int x = 0; x < width; ++x, cmyk += 4, rgb += 3)
    for (int c = 0; c < 3; ++c) rgb[c] = uint8_t((cmyk[c] * cmyk[3] + 127) / 255);
}

}  // namespace

bool is_jpeg(std::span<const uint8_t> bytes) {
  return bytes.size() >= 3 && bytes[0] == 0xff && bytes[1] == 0xd8 && bytes[2] == 0xff;
}

Image decode_jpeg(std::span<const uint8_t> bytes, const std::string& name, Remarks* remarks) {
  Decompressor d;
  jpeg_decompress_struct& jpeg = d.jpeg;
  const auto fail = [&] {
    const int code = d.errors.code;
    if (code == JERR_OUT_OF_MEMORY) throw std::bad_alloc();
    if (is_unsupported(code))
      throw DataError(cat(name, ": a JPEG of a kind that is not read (", d.errors.message,
                          "); save it as an ordinary 8-bit JPEG or as a PNG"));
    const bool truncated = d.errors.ended || code == JWRN_HIT_MARKER || code == JERR_INPUT_EOF;
    throw DataError(cat(name, ": ", truncated ? "truncated" : "damaged", " JPEG (", d.errors.message,
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
  const int orientation = stored_orientation(jpeg);
  const bool several_scans = jpeg_has_multiple_scans(&jpeg);

  Image image(int(jpeg.image_width), int(jpeg.image_height));
  std::vector<uint8_t> line(cmyk ? size_t(image.width) * 4 : 0);
  uint8_t* const ink = line.data();
  if (!d.run([&] {
        jpeg_start_decompress(&jpeg);
        // Without its end a file of several scans would show what came before: coarse, or without colour.
        if (several_scans && d.errors.ended && !d.scans.complete) ERREXIT(&jpeg, JERR_INPUT_EOF);
        while (jpeg.output_scanline < jpeg.output_height) {
          const int y = int(jpeg.output_scanline);
          JSAMPROW row = cmyk ? ink : image.at(0, y);
          jpeg_read_scanlines(&jpeg, &row, 1);
          if (cmyk) cmyk_row_to_rgb(ink, image.at(0, y), image.width);
        }
        // Not finished: what follows the last pixel is nobody's business.
      }))
    fail();
  if (remarks && d.errors.odd_sequence)
    remarks->push_back(
        cat(name, ": its scan header is not to the letter of JPEG (as some phones write it); read all the same"));
  if (remarks && d.errors.ended) remarks->push_back(cat(name, ": its end marker is missing; every pixel is there"));
  return upright(std::move(image), orientation);
}

int jpeg_quality(std::span<const uint8_t> bytes) {
  if (!is_jpeg(bytes)) return 0;
  Decompressor d;
  jpeg_decompress_struct& jpeg = d.jpeg;
  if (!d.run([&] {
        jpeg_mem_src(&jpeg, bytes.data(), (unsigned long)bytes.size());
        jpeg_read_header(&jpeg, TRUE);
      }))
    return 0;
  const int index = jpeg.comp_info[0].quant_tbl_no;
  const JQUANT_TBL* table = index >= 0 && index < NUM_QUANT_TBLS ? jpeg.quant_tbl_ptrs[index] : nullptr;
  if (!table) return 0;
  // Annex K's table for brightness; its order does not matter to a sum.
  static constexpr std::array<int, DCTSIZE2> kAnnexK = {
      16, 11, 10, 16, 24,  40,  51,  61,  12, 12, 14, 19, 26,  58,  60,  55,  //
      14, 13, 16, 24, 40,  57,  69,  56,  14, 17, 22, 29, 51,  87,  80,  62,  //
      18, 22, 37, 56, 68,  109, 103, 77,  24, 35, 55, 64, 81,  104, 113, 92,  //
      49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99};
  const int sum = std::accumulate(std::begin(table->quantval), std::end(table->quantval), 0);
  int best = 1, least = std::numeric_limits<int>::max();
  for (int quality = 1; quality <= 100; ++quality) {
    int scaled = 0;
    for (const int step : kAnnexK) scaled += std::clamp((step * jpeg_quality_scaling(quality) + 50) / 100, 1, 255);
    if (std::abs(scaled - sum) > least) continue;
    least = std::abs(scaled - sum);
    best = quality;
  }
  return best;
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
