// Writes small files of every kind the fuzzed readers take, for them to start from. Usage: seeds FOLDER
#include <cstdio>
#include <filesystem>
#include <fstream>

#include "base/check.h"
#include "data/codec.h"
#include "data/labels.h"
#include "data/png.h"
#include "tests/data/encoded.h"
#include "tests/weights/pth_builder.h"
#include "weights/pth.h"
#include "weights/safetensors.h"

namespace telltale {
namespace {

namespace fs = std::filesystem;

Image picture(int width, int height) {
  Image image(width, height);
  for (size_t i = 0; i < image.rgb.size(); ++i) image.rgb[i] = uint8_t(i * i / 7 + i);
  return image;
}

/// Pictures of every kind that is read, small and in several forms.
void write_pictures(const fs::path& folder) {
  const Image image = picture(24, 17);
  const auto put_bytes = [&](const char* target, const std::string& name, const Bytes& bytes) {
    put(folder / target / name, std::string(bytes.begin(), bytes.end()));
  };
  put_bytes("jpeg", "ours", encode_jpeg(image, 75));
  put_bytes("jpeg", "one", encode_jpeg(picture(1, 1), 100));
  put_bytes("jpeg", "progressive", jpeg_of(image.rgb, 24, 17, 3, JCS_RGB, JCS_YCbCr, exif(6, true), true));
  put_bytes("jpeg", "arithmetic", jpeg_of(image.rgb, 24, 17, 3, JCS_RGB, JCS_YCbCr, exif(3, false), false, true));
  put_bytes("jpeg", "inks", jpeg_of(image.rgb, 17, 18, 4, JCS_CMYK, JCS_YCCK));
  put_bytes("jpeg", "grey", jpeg_of(image.rgb, 24, 17, 1, JCS_GRAYSCALE, JCS_GRAYSCALE));

  const Bytes rows{0, 1, 2, 3, 1, 2, 0, 3};
  Bytes indexed = png_of(3, 2, 8, 3, rows), palette, turned = png_of(3, 2, 8, 0, rows), turn;
  append_chunk(palette, "PLTE", {10, 20, 30, 40, 50, 60, 70, 80, 90, 1, 2, 3});
  append_chunk(palette, "tRNS", {0, 128});
  const Bytes tiff = exif(6, false);
  append_chunk(turn, "eXIf", {tiff.begin() + 6, tiff.end()});
  constexpr long kHeader = 33;  // the signature and IHDR
  indexed.insert(indexed.begin() + kHeader, palette.begin(), palette.end());
  turned.insert(turned.begin() + kHeader, turn.begin(), turn.end());
  Bytes interlaced = png_of(2, 2, 8, 0, {0, 1, 0, 2, 0, 3, 4});
  interlaced[28] = 1;  // its checksum is mended by the fuzzer
  put_bytes("png", "ours", encode_png(picture(5, 7).rgb.data(), 5, 7, 3));
  put_bytes("png", "indexed", indexed);
  put_bytes("png", "turned", turned);
  put_bytes("png", "interlaced", interlaced);
  put_bytes("png", "alpha", png_of(2, 1, 16, 6, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1, 2, 3, 4, 5, 6}));

  put_bytes("webp", "lossless", webp_of(image));
  uint8_t* lossy = nullptr;
  const size_t bytes = WebPEncodeRGB(image.rgb.data(), 24, 17, 3 * 24, 50, &lossy);
  put_bytes("webp", "lossy", Bytes(lossy, lossy + bytes));
  WebPFree(lossy);

  put_bytes("simple", "bmp", bmp_of(picture(5, 3)));
  put_bytes("simple", "gif",
            bytes_of(std::string("GIF89a\2\0\1\0\x81\0\0\0\0\0\x09\x09\x09\0\0\0\1\2\3"
                                 "\x21\xf9\4\1\0\0\1\0\x2c\0\0\0\0\2\0\1\0\0\2\2\x5c\x0a\0\x3b",
                                 48)));
  put_bytes("simple", "pnm", bytes_of("P6 # two pixels\n2 1\n255\nabcdef"));
  put_bytes("simple", "grey.pnm", bytes_of("P5\n2 1 255\nab"));
  put_bytes("simple", "tga", {0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 1, 0, 24, 0x20, 3, 2, 1, 6, 5, 4});
  put_bytes("simple", "run.tga", {0, 0, 10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 1, 0, 24, 0x20, 0x81, 3, 2, 1});
  put_bytes("simple", "map.tga", {0, 1, 1, 0, 0, 2, 0, 24, 0, 0, 0, 0, 2, 0, 1, 0, 8, 0, 1, 2, 3, 4, 5, 6, 0, 1});
}

void write_seeds(const fs::path& folder) {
  for (const char* target : {"pickle", "zip", "safetensors", "jpeg", "png", "webp", "simple", "csv", "multipart"})
    fs::create_directories(folder / target);
  const std::string values = floats({0, 1, 2, 3, 4, 5});
  const std::string view = "(" + text("0") + "K\x02K\x04t";
  const std::string state = value_dict({{"w", tensor("0", 6, 0, {2, 3}, {1, 2})}, {"n", number(7)}});
  const std::string pickles[] = {
      dict({{"w", tensor("0", 6, 1, {5}, {1})}, {"e", tensor("0", 6, 5, {2, 2}, {0, 0})}}),
      dict({{"state_dict", state}, {"best", parameter(tensor("0", 6, 4, {}, {}))}}),
      dict({{"w", tensor("0", 6, 1, {3}, {1}, "FloatStorage", view)}}),
      start() + "ccollections\nOrderedDict\n](](U\x01w" + tensor("0", 6, 5, {1}, {1}) + "ee\x85R}U\x09_metadata}sb.",
      start() + "}q\x01(X" + raw(uint32_t(1)) + "aG" + std::string(8, '@') + "h\x01N\x89\x88" + "ctorch\nSize\n)\x85R" +
          "2u."};
  for (size_t i = 0; i < std::size(pickles); ++i) {
    const std::string name = std::to_string(i);
    put(folder / "pickle" / name, pickles[i]);
    put(folder / "zip" / ("z" + name),
        zip({{"a/data.pkl", pickles[i]}, {"a/data/0", values}, {"a/byteorder", "little"}}));
    put(folder / "zip" / ("l" + name), legacy(pickles[i], {{"0", 6, values}}));
  }
  StateDict tensors;
  for (FileDType t : kFileDTypes) tensors.push_back(state_tensor(name_of(t), {1, 2}, {1, 0}, t));
  tensors.push_back(state_tensor("none", {0, 3}, {}));
  write_pth(folder / "zip" / "ours", tensors, {{"net", "resnet18"}});
  write_safetensors(folder / "safetensors" / "metadata", tensors, {{"net", "resnet18"}});
  write_safetensors(folder / "safetensors" / "plain", {tensors[0]});
  write_safetensors(folder / "safetensors" / "empty", {});
  write_pictures(folder);
  put(folder / "csv" / "ours",
      "0id,fake_label,x_min,y_min,x_max,y_max,split\na1,1,3,4,200,256,train\nb,0,0,0,0,0,test\n");
  put(folder / "csv" / "paper",
      "1id,fake_label,x_min,y_min,x_max,y_max\n00000001,1,10,20,100,120\n00000002,0,0,0,0,0\n");
  put(folder / "multipart" / "form",
      "multipart/form-data; boundary=b\n--b\r\nContent-Disposition: form-data; name=\"picture\"; "
      "filename=\"a\"\r\n\r\n1"
      "\r\n--b--\r\n");
}

}  // namespace
}  // namespace telltale

int main(int argc, char** argv) try {
  if (argc != 2) throw telltale::UsageError("give one folder");
  telltale::write_seeds(argv[1]);
} catch (const std::exception& e) {
  std::fprintf(stderr, "seeds: %s\n", e.what());
  return 1;
}
