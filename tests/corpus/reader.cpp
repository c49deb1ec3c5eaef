// What the readers make of files, for run.py to set beside what others make of them: a JSON line for each path of
// standard input.
// Usage: reader pictures FOLDER | weights FOLDER | tables   FOLDER takes what was read of the N-th path: N.rgb,
// N.values
//        reader arithmetic FOLDER                           writes JPEGs of a kind that few programs write
#include <cstdio>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>

#include "base/byte_reader.h"
#include "data/labels.h"
#include "tests/data/encoded.h"
#include "weights/weights_file.h"

namespace telltale {
namespace {

using nlohmann::json;

json read_picture(const std::string& path, const std::string& pixels) {
  Remarks remarks;
  const Image image = read_image(path, &remarks);
  put(pixels, image.rgb);
  return {{"width", image.width}, {"height", image.height}, {"remarks", remarks}};
}

json read_table(const std::string& path) {
  json rows = json::array();
  for (const Label& l : read_labels(path))
    rows.push_back({l.id, l.fake, {l.box.x_min, l.box.y_min, l.box.x_max, l.box.y_max}, name_of(l.split), l.painter});
  return {{"rows", rows}};
}

json read_weights(const std::string& path, const std::string& values) {
  const WeightsFile file = WeightsFile::open(path);
  std::string bytes;
  std::vector<unsigned char> scratch;
  for (const StateTensor& t : file.state_dict()) bytes += text_of(stored_bytes(t, scratch));
  put(values, bytes);
  return {{"tensors", file.state_dict().size()}};
}

template <class F>
void for_each_path(F&& read) {
  int n = 0;
  for (std::string path; std::getline(std::cin, path); ++n) {
    json said;
    try {
      said = read(path, n);
    } catch (const Error& e) {
      said = {{"refused", e.what()}};
    }
    std::puts(said.dump(-1, ' ', false, json::error_handler_t::replace).c_str());
  }
}

void write_arithmetic(const std::string& folder) {
  const Image image = test_picture(48, 40);
  for (const bool progressive : {false, true}) {
    put(folder + (progressive ? "/arithmetic_progressive.jpg" : "/arithmetic.jpg"),
        jpeg_of(image.rgb, 48, 40, 3, JCS_RGB, JCS_YCbCr, {}, progressive, true));
    put(folder + (progressive ? "/ycck_progressive.jpg" : "/ycck.jpg"),
        jpeg_of(image.rgb, 36, 40, 4, JCS_CMYK, JCS_YCCK, {}, progressive));
  }
}

}  // namespace
}  // namespace telltale

int main(int argc, char** argv) try {
  using namespace telltale;
  const std::string what = argc > 1 ? argv[1] : "", folder = argc > 2 ? argv[2] : "";
  if (what == "pictures" && !folder.empty())
    for_each_path([&](const std::string& path, int n) { return read_picture(path, cat(folder, "/", n, ".rgb")); });
  else if (what == "weights" && !folder.empty())
    for_each_path([&](const std::string& path, int n) { return read_weights(path, cat(folder, "/", n, ".values")); });
  else if (what == "tables")
    for_each_path([&](const std::string& path, int) { return read_table(path); });
  else if (what == "arithmetic" && !folder.empty())
    write_arithmetic(folder);
  else
    throw UsageError("give pictures, weights or arithmetic and a FOLDER, or tables");
} catch (const std::exception& e) {
  std::fprintf(stderr, "reader: %s\n", e.what());
  return 1;
}
