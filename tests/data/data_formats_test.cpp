// WebP, BMP, GIF, PNM and TGA.
#include "tests/data/encoded.h"

namespace telltale {
namespace {

TEST(Webp, IsReadExactlyAndTurned) {
  const Image image = test_picture(21, 13);
  EXPECT_EQ(decode_image(webp_of(image), "x"), image);
  // The extended form: canvas and flags, the picture, EXIF.
  const Bytes simple = webp_of(image), tiff = exif(6, true);
  Bytes body{'W', 'E', 'B', 'P', 'V', 'P', '8', 'X', 10, 0, 0, 0, 8, 0, 0, 0, 20, 0, 0, 12, 0, 0};
  body.insert(body.end(), simple.begin() + 12, simple.end());
  body.insert(body.end(), {'E', 'X', 'I', 'F'});
  append(body, {uint32_t(tiff.size())}, 4);
  body.insert(body.end(), tiff.begin(), tiff.end());
  Bytes file{'R', 'I', 'F', 'F'};
  append(file, {uint32_t(body.size())}, 4);
  file.insert(file.end(), body.begin(), body.end());
  EXPECT_EQ(decode_image(file, "x"), turned(image));
}

TEST(Bmp, IsReadExactly) {
  for (const int width : {1, 2, 3, 4, 17}) {
    const Image image = test_picture(width, 5);
    EXPECT_EQ(decode_image(bmp_of(image), "x"), image);
  }
}

TEST(Bmp, APaletteIsNotExceeded) {
  // 8 bits, two colours, a row of four pixels.
  const auto with_index = [](uint8_t last) {
    Bytes bytes{'B', 'M'};
    append(bytes, {0, 0, 62, 40, 4, 1}, 4);
    append(bytes, {1, 8}, 2);
    append(bytes, {0, 0, 0, 0, 2, 0, 0x010203, 0x040506}, 4);
    bytes.insert(bytes.end(), {0, 1, 0, last});
    return bytes;
  };
  EXPECT_EQ(decode_image(with_index(1), "x").rgb, (Bytes{1, 2, 3, 4, 5, 6, 1, 2, 3, 4, 5, 6}));
  EXPECT_NE(refusal([&] { decode_image(with_index(2), "x"); }).find("colour 2 of a palette of 2"), std::string::npos);
}

TEST(Bmp, HeadersAndGapsOfOtherWritersAreRead) {
  const Image image = test_picture(5, 4);
  const Bytes plain = bmp_of(image);
  const auto with_header = [&](uint8_t header, size_t gap) {
    Bytes bytes = plain;
    bytes.insert(bytes.begin() + 54, header - 40u + gap, 0);
    bytes[10] = uint8_t(14 + header + gap);
    bytes[14] = header;
    return bytes;
  };
  for (const uint8_t header : {40, 52, 56, 64, 108, 124})
    for (const size_t gap : {0, 4, 700}) {
      Bytes bytes = with_header(header, gap);
      bytes[11] = uint8_t((14u + header + gap) >> 8);
      EXPECT_EQ(decode_image(bytes, "x"), image) << int(header) << " " << gap;
      bytes.pop_back();  // of the last row's padding
      EXPECT_EQ(decode_image(bytes, "x"), image);
      bytes.pop_back();
      EXPECT_NE(refusal([&] { decode_image(bytes, "x"); }).find("truncated BMP"), std::string::npos);
    }
  Bytes from_above = plain;
  for (const size_t at : {22, 23, 24, 25}) from_above[at] = at == 22 ? 0xfc : 0xff;  // a height of -4
  Image mirrored(5, 4);
  for (int y = 0; y < 4; ++y) std::copy_n(image.at(0, y), 15, mirrored.at(0, 3 - y));
  EXPECT_EQ(decode_image(from_above, "x"), mirrored);
  EXPECT_NE(refusal([&] { decode_image(with_header(77, 0), "x"); }).find("a header of 77 bytes"), std::string::npos);
  Bytes odd = plain;
  odd[28] = 7;
  EXPECT_NE(refusal([&] { decode_image(odd, "x"); }).find("of 7 bits a pixel"), std::string::npos);
  Bytes giant = plain;
  giant[20] = giant[24] = 1;  // 65541 x 65540
  EXPECT_NE(refusal([&] { decode_image(giant, "x"); }).find("x: 65541x65540 is more than"), std::string::npos);
}

TEST(Bmp, TheFourthByteIsTransparencyWhereAMaskSaysSo) {
  Bytes bytes{'B', 'M'};
  append(bytes, {0, 0, 122, 108, 2, 1}, 4);
  append(bytes, {1, 32}, 2);
  append(bytes, {3, 0, 0, 0, 0, 0, 0xff0000, 0xff00, 0xff, 0xff000000}, 4);
  bytes.resize(122);
  append(bytes, {0xff102030, 0x00102030}, 4);
  EXPECT_EQ(decode_image(bytes, "x").rgb, (Bytes{0x10, 0x20, 0x30, 255, 255, 255}));
  bytes[69] = 0;  // the mask
  EXPECT_EQ(decode_image(bytes, "x").rgb, (Bytes{0x10, 0x20, 0x30, 0x10, 0x20, 0x30}));
}

TEST(Pnm, BinaryEightBitsAreRead) {
  const Bytes colour = bytes_of("P6 # two pixels\n2 1\n255\nabcdef");
  EXPECT_EQ(decode_image(colour, "x").rgb, bytes_of("abcdef"));
  EXPECT_EQ(decode_image(bytes_of("P5\n2 1 255\nab"), "x").rgb, bytes_of("aaabbb"));
  for (const char* other : {"P6 2 1 100\nabcdef", "P5 1 1 65535\nab", "P3 1 1 255\n1 2 3"})
    EXPECT_NE(refusal([&] { decode_image(bytes_of(other), "x"); }).find("a PNM that is not read"), std::string::npos)
        << other;
  EXPECT_NE(refusal([&] { decode_image(bytes_of("P6 5000000000 5000000000 255\nabc"), "x"); }).find("truncated PNM"),
            std::string::npos);  // bytes beyond 2⁶³
  EXPECT_EQ(decode_image(bytes_of("P6 # ends so\r2 1\r255\nabcdef"), "x").rgb, decode_image(colour, "x").rgb);
  for (const char* odd : {"P6 #\r18446744073709551615 1 255\nabc", "P5 1 18446744073709551616 255 a"})
    EXPECT_NE(refusal([&] { decode_image(bytes_of(odd), "x"); }).find("truncated PNM"), std::string::npos) << odd;
  for (const char* odd : {"P6 2 1 255xabcdef", "P6 -2 1 255 abcdef", "P6 0 1 255\n", "P5 1 x 255 a"})
    EXPECT_NE(refusal([&] { decode_image(bytes_of(odd), "x"); }).find("a PNM that is not read"), std::string::npos)
        << odd;
  EXPECT_NE(refusal([&] { decode_image(bytes_of("P6 2 1 255\nabcde"), "x"); }).find("truncated PNM"),
            std::string::npos);
}

TEST(Tga, IsReadByNameAndHeader) {
  Bytes bytes{0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 1, 0, 24, 0x20, 3, 2, 1, 6, 5, 4};
  EXPECT_EQ(decode_image(bytes, "x.TGA").rgb, (Bytes{1, 2, 3, 4, 5, 6}));
  refusal([&] { decode_image(bytes, "x"); });
  bytes.pop_back();
  EXPECT_NE(refusal([&] { decode_image(bytes, "x.tga"); }).find("truncated TGA"), std::string::npos);
  // Run-length coded: a repeated pixel, then one that is not there.
  const Bytes cut{0, 0, 10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0, 1, 0, 24, 0x20, 0x81, 3, 2, 1};
  EXPECT_NE(refusal([&] { decode_image(cut, "x.tga"); }).find("truncated TGA"), std::string::npos);
}

// A canvas of 3 × 2 with four colours, and a picture on it; two indices follow each other without compression.
Bytes gif_of(std::initializer_list<uint32_t> place, uint8_t first, uint8_t second, const Bytes& front = {}) {
  Bytes bytes = bytes_of("GIF89a");
  append(bytes, {3, 2}, 2);
  bytes.insert(bytes.end(), {0x81, 3, 0, 0, 0, 0, 9, 9, 9, 0, 0, 0, 1, 2, 3});
  bytes.insert(bytes.end(), front.begin(), front.end());
  bytes.push_back(0x2c);
  append(bytes, place, 2);
  // Codes of four bits: clear (8), the indices, end (9).
  bytes.insert(bytes.end(), {0, 3, 2, uint8_t(8 | first << 4), uint8_t(second | 9 << 4), 0, 0x3b});
  return bytes;
}

TEST(Gif, TheFirstPictureIsReadOnWhite) {
  const Bytes second_is_transparent{0x21, 0xf9, 4, 1, 0, 0, 1, 0};
  const Bytes bytes = gif_of({1, 1, 2, 1}, 3, 1, second_is_transparent);
  Bytes wanted(18, 255);
  std::copy_n(Bytes{1, 2, 3}.begin(), 3, wanted.begin() + 12);
  EXPECT_EQ(decode_image(bytes, "x").rgb, wanted);
  for (size_t n = 6; n + 1 < bytes.size(); ++n)
    EXPECT_NE(refusal([&] { decode_image(std::span(bytes).first(n), "x"); }).find("truncated GIF"), std::string::npos);
  EXPECT_EQ(decode_image(std::span(bytes).first(bytes.size() - 1), "x").rgb, wanted) << "without its trailer";
}

TEST(Gif, NoPixelIsInvented) {
  const auto said = [](std::initializer_list<uint32_t> place, uint8_t first, uint8_t second) {
    return refusal([&] { decode_image(gif_of(place, first, second), "x"); });
  };
  EXPECT_NE(said({0, 0, 2, 1}, 1, 4).find("it uses colour 4 of a palette of 4"), std::string::npos);
  EXPECT_NE(said({0, 0, 3, 1}, 1, 1).find("truncated GIF"), std::string::npos) << "two pixels for three";
  EXPECT_NE(said({0, 0, 0, 0}, 1, 1).find("a picture of 0x0"), std::string::npos);
  EXPECT_NE(said({2, 0, 2, 1}, 1, 1).find("a picture of 2x1 at 2,0 on a canvas of 3x2"), std::string::npos);
  EXPECT_NE(said({0, 0, 2, 1}, 1, 15).find("a code that cannot be"), std::string::npos);
}

TEST(Gif, StringsGrowWithTheirCodes) {
  // Of two bits: clear (4), 1, and then each code is the string that it makes: 1, 11, 111, … to a width of four bits.
  Bytes packed;
  uint32_t window = 0;
  int filled = 0;
  const auto code = [&](uint32_t value, int width) {
    window |= value << filled;
    for (filled += width; filled >= 8; filled -= 8, window >>= 8) packed.push_back(uint8_t(window));
  };
  code(4, 3), code(1, 3), code(6, 3), code(7, 3), code(8, 4), code(5, 4), code(0, 8);
  Bytes bytes = gif_of({0, 0, 2, 1}, 0, 0);
  bytes.resize(bytes.size() - 15);  // up to the picture's place
  bytes[6] = 5;                     // a canvas of 5 × 2
  append(bytes, {0, 0, 5, 2}, 2);
  bytes.insert(bytes.end(), {0, 2, uint8_t(packed.size())});
  bytes.insert(bytes.end(), packed.begin(), packed.end());
  bytes.insert(bytes.end(), {0, 0x3b});
  EXPECT_EQ(decode_image(bytes, "x").rgb, Bytes(30, 9));
}

}  // namespace
}  // namespace telltale
