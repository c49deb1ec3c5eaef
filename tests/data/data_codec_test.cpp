#include <csetjmp>
#include <cstdio>
// libjpeg's header needs <cstdio> before it.
#include <jpeglib.h>

#include "data/compose.h"
#include "data/exif.h"
#include "data/png.h"
#include "tests/data/data_fixture.h"

namespace telltale {
namespace {

using Bytes = std::vector<uint8_t>;

// A JPEG in any colour space, with an optional APP1 segment; `pixels` has `channels` a pixel.
Bytes jpeg_of(const Bytes& pixels, int width, int height, int channels, J_COLOR_SPACE in, J_COLOR_SPACE stored,
              const Bytes& app1 = {}, bool progressive = false) {
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

Bytes exif(int orientation, bool little) {
  const uint8_t o = uint8_t(orientation);
  if (little)
    return {'E',  'x', 'i', 'f', 0, 0, 'I', 'I', 42, 0, 8, 0, 0, 0, 1, 0,
            0x12, 1,   3,   0,   1, 0, 0,   0,   o,  0, 0, 0, 0, 0, 0, 0};
  return {'E', 'x',  'i', 'f', 0, 0, 'M', 'M', 0, 42, 0, 0, 0, 8, 0, 1,
          1,   0x12, 0,   3,   0, 0, 0,   1,   0, o,  0, 0, 0, 0, 0, 0};
}

// Where the EXIF standard puts the stored pixel (x, y) of a w × h image in the upright one.
std::pair<int, int> displayed(int orientation, int x, int y, int w, int h) {
  switch (orientation) {
    case 2: return {w - 1 - x, y};
    case 3: return {w - 1 - x, h - 1 - y};
    case 4: return {x, h - 1 - y};
    case 5: return {y, x};
    case 6: return {h - 1 - y, x};
    case 7: return {h - 1 - y, w - 1 - x};
    case 8: return {y, w - 1 - x};
    default: return {x, y};
  }
}

TEST(Jpeg, SurvivesARoundTrip) {
  const Image image = test_picture(61, 47);
  EXPECT_LT(mean_difference(decode_image(encode_jpeg(image, 95), "x"), image), 3);
}

TEST(Jpeg, QualityIsChecked) {
  refusal<UsageError>([] { encode_jpeg(test_picture(8, 8), 0); });
  refusal<UsageError>([] { encode_jpeg(test_picture(8, 8), 101); });
  EXPECT_LT(encode_jpeg(test_picture(64, 64), 20).size(), encode_jpeg(test_picture(64, 64), 95).size());
}

TEST(Jpeg, GreyBecomesThreeEqualChannels) {
  Bytes grey(40 * 30);
  for (size_t i = 0; i < grey.size(); ++i) grey[i] = uint8_t(i / 5);
  const Image image = decode_image(jpeg_of(grey, 40, 30, 1, JCS_GRAYSCALE, JCS_GRAYSCALE), "x");
  for (size_t i = 0; i < grey.size(); ++i) {
    EXPECT_EQ(image.rgb[3 * i], image.rgb[3 * i + 1]);
    EXPECT_NEAR(image.rgb[3 * i + 2], grey[i], 6);
  }
}

TEST(Jpeg, CmykAndYcckBecomeRgb) {
  const Image wanted = test_picture(48, 32);
  // libjpeg marks CMYK and YCCK as Adobe's, whose inks are complemented: full white 255 and plain RGB in C, M, Y.
  Bytes inks;
  for (size_t i = 0; i < wanted.rgb.size(); i += 3) {
    inks.insert(inks.end(), wanted.rgb.begin() + long(i), wanted.rgb.begin() + long(i) + 3);
    inks.push_back(255);
  }
  for (const J_COLOR_SPACE stored : {JCS_CMYK, JCS_YCCK})
    EXPECT_LT(mean_difference(decode_image(jpeg_of(inks, 48, 32, 4, JCS_CMYK, stored), "x"), wanted), 3) << stored;
}

TEST(Jpeg, ProgressiveIsRead) {
  const Image image = test_picture(64, 48);
  EXPECT_LT(mean_difference(decode_image(jpeg_of(image.rgb, 64, 48, 3, JCS_RGB, JCS_YCbCr, {}, true), "x"), image), 3);
}

TEST(Exif, AllOrientationsAreSetUpright) {
  const int w = 40, h = 24;
  const Image stored = test_picture(w, h);
  for (int o = 1; o <= 8; ++o)
    for (const bool little : {true, false}) {
      Image wanted(o >= 5 ? h : w, o >= 5 ? w : h);
      for (int y = 0; y < h; ++y)
        for (int x = 0; x < w; ++x) {
          const auto [dx, dy] = displayed(o, x, y, w, h);
          std::copy_n(stored.at(x, y), 3, wanted.at(dx, dy));
        }
      EXPECT_EQ(upright(stored, o), wanted) << o;
      const Image read = decode_image(jpeg_of(stored.rgb, w, h, 3, JCS_RGB, JCS_YCbCr, exif(o, little)), "x");
      EXPECT_LT(mean_difference(read, wanted), 3) << o;
    }
}

TEST(Exif, HostileBytesMeanUpright) {
  const Bytes good = exif(6, true);
  EXPECT_EQ(exif_orientation(good), 6);
  for (size_t n = 0; n < good.size() - 6; ++n) EXPECT_EQ(exif_orientation(std::span(good).first(n)), 1) << n;
  Bytes far = good;
  far[10] = far[11] = far[12] = far[13] = 0xff;  // the directory's offset
  EXPECT_EQ(exif_orientation(far), 1);
  Bytes many = good;
  many[14] = many[15] = 0xff;  // the number of entries
  many[16] = 0;                // and the first is another tag
  EXPECT_EQ(exif_orientation(many), 1);
  for (const int o : {0, 9, 255}) EXPECT_EQ(exif_orientation(exif(o, true)), 1);
}

TEST(Png, SurvivesARoundTripExactly) {
  Folder folder;
  const Image image = test_picture(33, 21);
  write_png(folder / "a.png", image);
  EXPECT_EQ(read_image(folder / "a.png"), image);
  Grey mask(9, 5);
  for (size_t i = 0; i < mask.pixels.size(); ++i) mask.pixels[i] = uint8_t(i % 2 ? 255 : i);
  write_png(folder / "m.png", mask);
  EXPECT_EQ(read_grey(folder / "m.png"), mask);
}

void append_chunk(Bytes& png, const std::string& type, const Bytes& content) {
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
Bytes png_of(uint32_t width, uint32_t height, uint8_t depth, uint8_t colour, const Bytes& rows) {
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

TEST(Png, SixteenBitsAreReducedToEight) {
  const Image image = decode_image(png_of(2, 1, 16, 0, {0, 0x12, 0x34, 0xfe, 0xdc}), "x");
  EXPECT_EQ(image.rgb, (Bytes{0x12, 0x12, 0x12, 0xfe, 0xfe, 0xfe}));
}

TEST(Png, TransparencyIsLaidOnWhite) {
  const Image image = decode_image(png_of(3, 1, 8, 6, {0, 10, 20, 30, 255, 10, 20, 30, 0, 0, 0, 0, 128}), "x");
  EXPECT_EQ(image.rgb, (Bytes{10, 20, 30, 255, 255, 255, 127, 127, 127}));
}

TEST(Codec, TruncationIsRefusedAtEveryLength) {
  const Image image = test_picture(32, 32);
  for (const Bytes& whole : {encode_jpeg(image, 90), encode_png(image.rgb.data(), 32, 32, 3),
                             jpeg_of(image.rgb, 32, 32, 3, JCS_RGB, JCS_YCbCr, {}, true)}) {
    EXPECT_NO_THROW(decode_image(whole, "x"));
    for (size_t n = 0; n < whole.size(); ++n)
      EXPECT_THROW(decode_image(std::span(whole).first(n), "x"), DataError) << n << " of " << whole.size();
  }
}

TEST(Codec, RandomDamageNeverCrashes) {
  const Image image = test_picture(48, 40);
  Random random(7);
  for (const Bytes& whole : {encode_jpeg(image, 90), encode_png(image.rgb.data(), 48, 40, 3)})
    for (int i = 0; i < 500; ++i) {
      Bytes damaged = whole;
      for (int k = 0; k < 4; ++k) damaged[size_t(random.integer(0, int64_t(whole.size()) - 1))] = uint8_t(random());
      try {
        decode_image(damaged, "x");
      } catch (const DataError&) {
      }
    }
}

TEST(Codec, RefusalsNameTheFileAndTheReason) {
  Folder folder;
  const auto says = [&](const std::string& name, const std::string& reason) {
    const std::string text = refusal([&] { read_image(folder / name); });
    EXPECT_TRUE(text.starts_with(folder / name)) << text;
    EXPECT_NE(text.find(reason), text.npos) << text;
  };
  says("missing.jpg", "No such file");
  put(folder / "empty.jpg", "");
  says("empty.jpg", "empty file");
  put(folder / "text.jpg", "hello, I am a text");
  says("text.jpg", "neither a JPEG nor a PNG");
  std::filesystem::create_directory(folder / "folder.jpg");
  says("folder.jpg", "not a file");
  Bytes cut = encode_jpeg(test_picture(64, 64), 90);
  cut.resize(cut.size() / 2);
  put(folder / "cut.jpg", cut);
  says("cut.jpg", "truncated JPEG");
  Bytes flipped = encode_png(test_picture(64, 64).rgb.data(), 64, 64, 3);
  flipped[flipped.size() / 2] ^= 1;
  put(folder / "flipped.png", flipped);
  says("flipped.png", "checksum");
}

TEST(Codec, GiantDimensionsAreRefusedBeforeAllocation) {
  Folder folder;
  put(folder / "giant.png", png_of(20000, 20000, 8, 2, {0}));
  EXPECT_NE(refusal([&] { read_image(folder / "giant.png"); }).find("more than 178956970 pixels"), std::string::npos);
  Bytes jpeg = encode_jpeg(test_picture(16, 16), 90);
  for (size_t i = 0; i + 8 < jpeg.size(); ++i)
    if (jpeg[i] == 0xff && jpeg[i + 1] == 0xc0) jpeg[i + 5] = jpeg[i + 7] = 0xfd, i = jpeg.size();
  put(folder / "giant.jpg", jpeg);
  EXPECT_NE(refusal([&] { read_image(folder / "giant.jpg"); }).find("more than 178956970 pixels"), std::string::npos);
  put(folder / "none.png", png_of(0, 5, 8, 2, {0}));
  refusal([&] { read_image(folder / "none.png"); });
}

TEST(Codec, TheNameDoesNotDecideTheFormat) {
  Folder folder;
  const Image image = test_picture(20, 10);
  write_png(folder / "a.jpg", image);
  EXPECT_EQ(read_image(folder / "a.jpg"), image);
}

TEST(Codec, AFailedWriteLeavesNothing) {
  Folder folder;
  const std::string text = refusal([&] { write_jpeg(folder / "no/such/folder/a.jpg", test_picture(8, 8), 90); });
  EXPECT_NE(text.find("No such file"), text.npos);
  write_png(folder / "a.png", test_picture(8, 8));
  int files = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(folder.path())) ++files;
  EXPECT_EQ(files, 1);
}

TEST(Compose, RoundsInsideAndLeavesTheRestUntouched) {
  const Image photo = test_picture(6, 4);
  std::vector<float> fill(photo.rgb.size(), 100.6f / 255);
  fill[0] = NAN;  // outside the mask: never looked at
  Grey mask(6, 4);
  mask.pixels[8] = mask.pixels[9] = 255;
  fill[24] = -1, fill[25] = 2;
  const Image out = compose(photo, fill, mask);
  for (size_t i = 0; i < photo.rgb.size(); ++i) {
    const uint8_t wanted = i == 24 ? 0 : i == 25 ? 255 : i > 25 && i < 30 ? 101 : photo.rgb[i];
    EXPECT_EQ(out.rgb[i], wanted) << i;
  }
  EXPECT_EQ(compose(photo, fill, Grey(6, 4)), photo);
  fill[26] = NAN;
  EXPECT_NE(refusal([&] { compose(photo, fill, mask); }).find("column 2, row 1"), std::string::npos);
  refusal<ShapeError>([&] { compose(photo, fill, Grey(4, 6)); });
}

}  // namespace
}  // namespace telltale
