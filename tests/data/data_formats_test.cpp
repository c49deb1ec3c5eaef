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

TEST(Pnm, BinaryEightBitsAreRead) {
  const Bytes colour = bytes_of("P6 # two pixels\n2 1\n255\nabcdef");
  EXPECT_EQ(decode_image(colour, "x").rgb, bytes_of("abcdef"));
  EXPECT_EQ(decode_image(bytes_of("P5\n2 1 255\nab"), "x").rgb, bytes_of("aaabbb"));
  for (const char* other : {"P6 2 1 100\nabcdef", "P5 1 1 65535\nab", "P3 1 1 255\n1 2 3"})
    EXPECT_NE(refusal([&] { decode_image(bytes_of(other), "x"); }).find("a PNM that is not read"), std::string::npos)
        << other;
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

TEST(Gif, TheFirstPictureIsReadOnWhite) {
  // 2 × 1, four colours, the second transparent; codes: clear, 3, 1, end, of three bits each.
  Bytes bytes = bytes_of("GIF89a");
  append(bytes, {2, 1}, 2);
  bytes.insert(bytes.end(), {0x81, 0, 0, 0, 0, 0, 9, 9, 9, 0, 0, 0, 1, 2, 3});
  bytes.insert(bytes.end(), {0x21, 0xf9, 4, 1, 0, 0, 1, 0, 0x2c, 0, 0, 0, 0, 2, 0, 1, 0, 0, 2, 2});
  bytes.insert(bytes.end(), {4 | 3 << 3 | (1 & 3) << 6, 1 >> 2 | 5 << 1, 0, 0x3b});
  EXPECT_EQ(decode_image(bytes, "x").rgb, (Bytes{1, 2, 3, 255, 255, 255}));
  EXPECT_NE(refusal([&] { decode_image(std::span(bytes).first(bytes.size() - 4), "x"); }).find("truncated GIF"),
            std::string::npos);
}

}  // namespace
}  // namespace telltale
