#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <csetjmp>
#include <cstdio>
// libjpeg's header needs <cstdio> before it.
#include <jpeglib.h>

#include "data/compose.h"
#include "data/exif.h"
#include "data/png.h"
#include "tests/data/encoded.h"

namespace telltale {
namespace {

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
  Bytes unmarked = jpeg_of(inks, 48, 32, 4, JCS_CMYK, JCS_CMYK);
  constexpr std::string_view kAdobe = "\xff\xee";
  const auto marker = std::search(unmarked.begin(), unmarked.end(), kAdobe.begin(), kAdobe.end(),
                                  [](uint8_t a, char b) { return a == uint8_t(b); });
  unmarked.erase(marker, marker + 16);
  EXPECT_LT(mean_difference(decode_image(unmarked, "x"), wanted), 3);
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

TEST(Exif, HostileBytesSayNothing) {
  const Bytes good = exif(6, true);
  EXPECT_EQ(exif_orientation(good), 6);
  for (size_t n = 0; n < good.size() - 6; ++n) EXPECT_EQ(exif_orientation(std::span(good).first(n)), 0) << n;
  Bytes far = good;
  far[10] = far[11] = far[12] = far[13] = 0xff;  // the directory's offset
  EXPECT_EQ(exif_orientation(far), 0);
  Bytes many = good;
  many[14] = many[15] = 0xff;  // the number of entries
  many[16] = 0;                // and the first is another tag
  EXPECT_EQ(exif_orientation(many), 0);
  for (const int o : {0, 9, 255}) EXPECT_EQ(exif_orientation(exif(o, true)), 1);
}

TEST(Exif, ByteAndLongServeAsWell) {
  for (const bool little : {true, false})
    for (const uint8_t type : {1, 4}) {
      Bytes bytes = exif(6, little);
      bytes[little ? 18 : 19] = type;
      if (!little) bytes[type == 4 ? 27 : 24] = 6, bytes[type == 4 ? 25 : 27] = 0;
      EXPECT_EQ(exif_orientation(bytes), 6) << little << " " << int(type);
      EXPECT_EQ(exif_orientation(std::span(bytes).subspan(6)), 6) << "without its header, as PNG and WebP keep it";
    }
}

TEST(Xmp, TheOrientationIsAnAttributeOrAnElement) {
  EXPECT_EQ(xmp_orientation("<rdf:Description tiff:Orientation=\"6\"/>"), 6);
  EXPECT_EQ(xmp_orientation("<tiff:Orientation>8</tiff:Orientation>"), 8);
  EXPECT_EQ(xmp_orientation("tiff:Orientation = '3'"), 3);
  for (const char* nothing : {"", "tiff:Orientation", "tiff:Orientation=\"9\"", "tiff:Orientation=\"66\"",
                              "Orientation=\"6\"", "tiff:Orientation6"})
    EXPECT_EQ(xmp_orientation(nothing), 0) << nothing;
  EXPECT_EQ(orientation_of(exif(3, true), "tiff:Orientation=\"6\""), 3) << "EXIF comes first";
  EXPECT_EQ(orientation_of({}, "tiff:Orientation=\"6\""), 6);
  EXPECT_EQ(orientation_of({}, ""), 1);
}

TEST(Xmp, TurnsAJpeg) {
  const Image image = test_picture(40, 24);
  const Bytes xmp = bytes_of(std::string("http://ns.adobe.com/xap/1.0/") + '\0' + "<x tiff:Orientation=\"6\"/>");
  const Image read = decode_image(jpeg_of(image.rgb, 40, 24, 3, JCS_RGB, JCS_YCbCr, xmp), "x");
  EXPECT_LT(mean_difference(read, turned(image)), 3);
}

TEST(Jpeg, AMissingEndOrATrailerCostsNoPixel) {
  const Image image = test_picture(48, 40);
  for (const bool progressive : {false, true}) {
    const Bytes whole = jpeg_of(image.rgb, 48, 40, 3, JCS_RGB, JCS_YCbCr, {}, progressive);
    const Image wanted = decode_image(whole, "x");
    Bytes cut(whole.begin(), whole.end() - 2);
    Remarks remarks;
    EXPECT_EQ(decode_image(cut, "x", &remarks), wanted);
    ASSERT_EQ(remarks.size(), 1u) << progressive;
    EXPECT_EQ(remarks[0], "x: its end marker is missing; every pixel is there");
    for (const std::string& trailer :
         {std::string("SEFH\0\1 maker's own", 17), std::string(300, '\xff'), std::string("\xff\xc5\0\2", 4)}) {
      Bytes longer = cut;
      longer.insert(longer.end(), trailer.begin(), trailer.end());
      EXPECT_EQ(decode_image(longer, "x"), wanted) << progressive;
    }
    cut.resize(cut.size() - 1);
    EXPECT_NE(refusal([&] { decode_image(cut, "x"); }).find("truncated JPEG"), std::string::npos);
    remarks.clear();
    decode_image(whole, "x", &remarks);
    EXPECT_TRUE(remarks.empty());
  }
}

TEST(Jpeg, APhonesScanHeaderIsRead) {
  const Image image = test_picture(32, 32);
  Bytes bytes = encode_jpeg(image, 90);
  const Image wanted = decode_image(bytes, "x");
  constexpr std::array<uint8_t, 2> kScan{0xff, 0xda};
  const auto sos = std::search(bytes.begin(), bytes.end(), kScan.begin(), kScan.end());
  sos[12] = 0;  // the last coefficient of the scan: 63 in a sequential image
  Remarks remarks;
  EXPECT_EQ(decode_image(bytes, "x", &remarks), wanted);
  EXPECT_EQ(remarks.size(), 1u);
}

TEST(Jpeg, WhatIsNotReadIsNotCalledDamaged) {
  const auto with = [](uint8_t marker, size_t at, uint8_t value) {
    Bytes bytes = encode_jpeg(test_picture(16, 16), 90);
    for (size_t i = 0; i + 12 < bytes.size(); ++i)
      if (bytes[i] == 0xff && bytes[i + 1] == 0xc0) {
        bytes[i + 1] = marker;
        if (at > 0) bytes[i + at] = value;
        break;
      }
    return refusal([&] { decode_image(bytes, "x"); });
  };
  for (const std::string& text : {with(0xc1, 4, 12), with(0xc3, 0, 0)}) {  // 12 bits a sample; lossless
    EXPECT_EQ(text.find("damaged"), text.npos) << text;
    EXPECT_NE(text.find("of a kind that is not read"), text.npos) << text;
  }
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

TEST(Png, SixteenBitsAreReducedToEight) {
  const Image image = decode_image(png_of(2, 1, 16, 0, {0, 0x12, 0x34, 0xfe, 0xdc}), "x");
  EXPECT_EQ(image.rgb, (Bytes{0x12, 0x12, 0x12, 0xfe, 0xfe, 0xfe}));
}

// `png` with a chunk before its end.
Bytes with_chunk(Bytes png, const std::string& type, const Bytes& content) {
  const Bytes end(png.end() - 12, png.end());
  png.resize(png.size() - 12);
  append_chunk(png, type, content);
  png.insert(png.end(), end.begin(), end.end());
  return png;
}

TEST(Png, ExifAndXmpTurnIt) {
  const Image image = test_picture(12, 7);
  const Bytes plain = encode_png(image.rgb.data(), 12, 7, 3);
  const Bytes tiff = exif(6, false);
  EXPECT_EQ(decode_image(with_chunk(plain, "eXIf", {tiff.begin() + 6, tiff.end()}), "x"), turned(image));
  EXPECT_EQ(decode_image(with_chunk(plain, "eXIf", tiff), "x"), turned(image)) << "with a JPEG's header in front";
  Bytes doubtful = with_chunk(plain, "eXIf", tiff);
  doubtful[doubtful.size() - 13] ^= 1;  // its checksum
  EXPECT_EQ(decode_image(doubtful, "x"), image);
  std::string profile = std::string("Raw profile type exif") + '\0' + "\nexif\n      38\n";
  for (const uint8_t byte : tiff)
    for (const int digit : {byte >> 4, byte & 15}) profile += "0123456789abcdef"[digit];
  EXPECT_EQ(decode_image(with_chunk(plain, "tEXt", bytes_of(profile)), "x"), turned(image))
      << "as ImageMagick writes it";
  const std::string text = std::string("XML:com.adobe.xmp") + std::string(5, '\0') + "<x tiff:Orientation=\"6\"/>";
  EXPECT_EQ(decode_image(with_chunk(plain, "iTXt", bytes_of(text)), "x"), turned(image));
}

TEST(Png, APaletteIsNotExceeded) {
  const auto with_index = [](uint8_t last) {
    Bytes png = png_of(3, 1, 8, 3, {0, 0, 1, last}), palette;
    append_chunk(palette, "PLTE", {10, 20, 30, 40, 50, 60});
    png.insert(png.begin() + 33, palette.begin(), palette.end());
    return png;
  };
  EXPECT_EQ(decode_image(with_index(0), "x").rgb, (Bytes{10, 20, 30, 40, 50, 60, 10, 20, 30}));
  for (const int beyond : {2, 200})
    EXPECT_NE(refusal([&] {
                decode_image(with_index(uint8_t(beyond)), "x");
              }).find(cat("it uses colour ", beyond, " of a palette of 2")),
              std::string::npos);
}

TEST(Png, WhatIsMissingBehindThePixelsIsForgiven) {
  const Image image = test_picture(9, 9);
  const Bytes whole = encode_png(image.rgb.data(), 9, 9, 3);
  Remarks remarks;
  EXPECT_EQ(decode_image(std::span(whole).first(whole.size() - 12), "x", &remarks), image);
  EXPECT_EQ(remarks.size(), 1u);
}

TEST(Png, AMillionColumnsAreRead) {
  Image wide(1'200'000, 2);
  for (size_t i = 0; i < wide.rgb.size(); ++i) wide.rgb[i] = uint8_t(i / 1000);
  EXPECT_EQ(decode_image(encode_png(wide.rgb.data(), wide.width, 2, 3), "x"), wide);
}

TEST(Png, TransparencyIsLaidOnWhite) {
  const Image image = decode_image(png_of(3, 1, 8, 6, {0, 10, 20, 30, 255, 10, 20, 30, 0, 0, 0, 0, 128}), "x");
  EXPECT_EQ(image.rgb, (Bytes{10, 20, 30, 255, 255, 255, 127, 127, 127}));
}

TEST(Codec, TruncationIsRefusedAtEveryLength) {
  const Image image = test_picture(32, 32);
  // And how many of the last bytes stand behind all pixels: JPEG's and PNG's end markers.
  const std::pair<Bytes, size_t> files[] = {{encode_jpeg(image, 90), 2},
                                            {encode_png(image.rgb.data(), 32, 32, 3), 12},
                                            {jpeg_of(image.rgb, 32, 32, 3, JCS_RGB, JCS_YCbCr, {}, true), 2},
                                            {webp_of(image), 0},
                                            {bmp_of(image), 0}};
  for (const auto& [whole, end] : files) {
    const Image wanted = decode_image(whole, "x");
    for (size_t n = 0; n < whole.size(); ++n) {
      const auto part = std::span(whole).first(n);
      if (n + end < whole.size())
        EXPECT_THROW(decode_image(part, "x"), DataError) << n << " of " << whole.size();
      else
        EXPECT_EQ(decode_image(part, "x"), wanted) << n << " of " << whole.size();
    }
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
  says("text.jpg", "no picture of a kind that is read");
  put(folder / "phone.jpg", std::string("\0\0\0\x18"
                                        "ftypheic",
                                        12));
  says("phone.jpg", "a HEIC, which is not read");
  std::filesystem::create_directory(folder / "folder.jpg");
  says("folder.jpg", "not a file");
  Bytes cut = encode_jpeg(test_picture(64, 64), 90);
  cut.resize(cut.size() / 2);
  put(folder / "cut.jpg", cut);
  says("cut.jpg", "truncated JPEG");
  Bytes flipped = encode_png(test_picture(64, 64).rgb.data(), 64, 64, 3);
  flipped[flipped.size() / 2] ^= 1;
  put(folder / "flipped.png", flipped);
  says("flipped.png", "damaged PNG (");
  ASSERT_EQ(mkfifo((folder / "pipe.jpg").c_str(), 0600), 0);
  says("pipe.jpg", "not a file, but a pipe");
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
