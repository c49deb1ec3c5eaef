#include "tools/convert/listing.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "base/check.h"
#include "models/families.h"
#include "weights/elements.h"

namespace telltale {
namespace {

/// "resnet18, 1000 outputs" or "csqiangwen, width 48, with its spectral norm".
std::string describe(const NetIdentity& net) {
  std::string text = net.family + (net.outputs ? cat(", ", net.outputs, " outputs") : "");
  text += cat(", ", net.width, " channels in its first layer");
  return text + (net.spectral_norm ? ", with its spectral norm" : "");
}

std::string net_of(const StateDict& dict, const Metadata& metadata) {
  try {
    return describe(identify(dict, families_for(metadata)));
  } catch (const DataError& e) {
    return e.what();
  }
}

/// What a terminal would act on, made visible: names come from the file.
std::string printable(std::string text) {
  for (char& c : text)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  return text;
}

}  // namespace

Statistics statistics_of(const StateTensor& t) {
  constexpr size_t kPiece = 1 << 16;
  std::vector<unsigned char> scratch;
  StateTensor::Bytes bytes = stored_bytes(t, scratch);
  Statistics s;
  double sum = 0, squares = 0, shift = 0;  // sums of what exceeds the first value: no cancellation where all are alike
  int64_t finite = 0;
  for (const size_t piece = kPiece * size_of(t.info.dtype); !bytes.empty();) {
    const size_t taken = std::min(piece, bytes.size());
    for (double v : widened<double>(t.info.dtype, bytes.first(taken))) {
      ++s.values;
      if (!std::isfinite(v)) continue;
      if (finite++ == 0) s.min = s.max = shift = v;
      s.min = std::min(s.min, v);
      s.max = std::max(s.max, v);
      sum += v - shift;
      squares += (v - shift) * (v - shift);
    }
    bytes = bytes.subspan(taken);
  }
  s.not_finite = s.values - finite;
  if (finite == 0) return s;
  const double mean = sum / double(finite);
  s.mean = shift + mean;
  s.std = std::sqrt(std::max(0.0, squares / double(finite) - mean * mean));
  return s;
}

void print_listing(const WeightsFile& file) {
  const StateDict dict = file.state_dict();
  size_t widest = 4;
  for (const StateTensor& t : dict) widest = std::max(widest, t.info.name.size());
  const int name_width = int(std::min<size_t>(widest, 60));
  std::printf("%-*s %-5s %-18s %12s %12s %12s %12s\n", name_width, "name", "dtype", "shape", "min", "max", "mean",
              "std");
  int64_t values = 0, not_finite = 0;
  uint64_t bytes = 0;
  for (const StateTensor& t : dict) {
    const Statistics s = statistics_of(t);
    std::printf("%-*s %-5s %-18s %12.5g %12.5g %12.5g %12.5g", name_width, printable(t.info.name).c_str(),
                name_of(t.info.dtype), to_string(t.info.shape).c_str(), s.min, s.max, s.mean, s.std);
    if (s.not_finite) std::printf("  %lld not finite", (long long)s.not_finite);
    std::printf("\n");
    values += s.values;
    not_finite += s.not_finite;
    bytes += uint64_t(s.values) * size_of(t.info.dtype);
  }
  std::printf("%zu tensors, %lld values, %.1f MB; %s", dict.size(), (long long)values, double(bytes) / 1e6,
              file.form());
  if (const Pth* pth = file.pth()) {
    if (!pth->found_under().empty()) std::printf(", under \"%s\"", printable(pth->found_under()).c_str());
    if (!pth->skipped().empty()) std::printf(", %zu other entries left out", pth->skipped().size());
  }
  if (not_finite) std::printf("; %lld values are not finite", (long long)not_finite);
  std::printf("\n");
  for (const auto& [key, value] : file.metadata())
    std::printf("%s: %s\n", printable(key).c_str(), printable(value.substr(0, 200)).c_str());
  std::printf("net: %s\n", net_of(dict, file.metadata()).c_str());
}

}  // namespace telltale
