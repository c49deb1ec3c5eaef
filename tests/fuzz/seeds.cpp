// Writes small files of every kind the fuzzed readers take, for them to start from. Usage: seeds FOLDER
#include <cstdio>
#include <filesystem>
#include <fstream>

#include "base/check.h"
#include "data/codec.h"
#include "data/labels.h"
#include "tests/weights/pth_builder.h"
#include "weights/pth.h"
#include "weights/safetensors.h"

namespace telltale {
namespace {

namespace fs = std::filesystem;

void put(const fs::path& path, const std::string& bytes) { std::ofstream(path, std::ios::binary) << bytes; }

Image picture(int width, int height) {
  Image image(width, height);
  for (size_t i = 0; i < image.rgb.size(); ++i) image.rgb[i] = uint8_t(i * i / 7 + i);
  return image;
}

void write_seeds(const fs::path& folder) {
  for (const char* target : {"pickle", "zip", "safetensors", "image", "csv", "multipart"})
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
  write_jpeg(folder / "image" / "jpeg", picture(24, 17), 75);
  write_jpeg(folder / "image" / "one", picture(1, 1), 100);
  write_png(folder / "image" / "png", picture(5, 7));
  Grey mask;
  mask.width = 8;
  mask.height = 3;
  mask.pixels.assign(24, 255);
  write_png(folder / "image" / "grey", mask);
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
