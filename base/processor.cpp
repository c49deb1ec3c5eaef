#include "base/processor.h"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <sstream>
#include <vector>

namespace telltale {
namespace {

/// The first line of that name in /proc/cpuinfo, behind its colon; empty where there is none.
std::string cpuinfo(const std::string& name) {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);) {
    const size_t colon = line.find(": ");
    if (line.starts_with(name) && colon != line.npos) return line.substr(colon + 2);
  }
  return "";
}

}  // namespace

std::string processor_name() {
  const std::string name = cpuinfo("model name");
  return name.empty() ? "unknown processor" : name;
}

std::string processor_features() {
  std::istringstream words(cpuinfo("flags"));
  const std::vector<std::string> has{std::istream_iterator<std::string>(words), {}};
  std::string text;
  for (const char* feature :
       {"sse4_2", "avx", "avx2", "fma", "f16c", "avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512_vnni",
        "avx512_bf16", "avx512_fp16", "avx_vnni", "amx_tile", "amx_int8", "amx_bf16"}) {
    if (std::find(has.begin(), has.end(), feature) != has.end())
      text += (text.empty() ? "" : " ") + std::string(feature);
  }
  return text.empty() ? "none of those known here" : text;
}

}  // namespace telltale
