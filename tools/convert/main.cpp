// convert: weights from one form into another, and what is in a weights file.
#include <CLI/CLI.hpp>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <limits>

#include "base/args.h"
#include "base/atomic_file.h"
#include "base/log.h"
#include "base/mapped_file.h"
#include "base/outputs.h"
#include "models/detector/detector.h"
#include "models/device.h"
#include "models/families.h"
#include "models/onnx.h"
#include "models/parity.h"
#include "tools/convert/listing.h"
#include "tools/convert/manifest.h"

namespace telltale {
namespace {

struct ConvertSettings {
  std::string in, out, key;
  std::vector<std::string> cases;
  std::string power_iterations = "converge", dtype;
  int size = 0;
  bool list = false, any = false;
};

/// What the file becomes: the tensors as they are written, and what is said of them.
struct Converted {
  StateDict dict;
  Metadata metadata;
  std::string what = "tensors of no net known here";
};

constexpr std::pair<const char*, FileDType> kStored[] = {
    {"f32", FileDType::f32}, {"f16", FileDType::f16}, {"bf16", FileDType::bf16}};

/// Filters and matrices as another type; vectors, which are few, keep their digits. Throws DataError where a value is
/// too large for it.
void store_as(FileDType type, StateDict& dict) {
  const double largest = type == FileDType::f16 ? 65504 : std::numeric_limits<float>::max();
  for (StateTensor& t : dict) {
    const FileDType is = t.info.dtype;
    const bool real = is == FileDType::f64 || is == FileDType::f32 || is == FileDType::f16 || is == FileDType::bf16;
    if (!real || t.info.shape.size() < 2 || is == type) continue;
    for (const double v : t.read()) {
      TT_CHECK(!(std::abs(v) > largest), DataError, t.info.name, ": ", v, " does not fit ", name_of(type));
    }
    t.info.dtype = type;
    t.stored = nullptr;
  }
}

Converted converted(const WeightsFile& file, const ConvertSettings& settings) {
  Converted c{without_wrapper_prefix(file.state_dict()), file.metadata()};
  c.metadata.try_emplace("source", std::filesystem::path(file.path()).filename().string());
  if (settings.any) return c;
  NetIdentity net;
  try {
    net = identify(c.dict, families_for(file.metadata()));
  } catch (const DataError& e) {
    throw DataError(cat(file.path(), ": ", e.what(), "\n  (--any converts it all the same)"));
  }
  c.what = net.family;
  if (net.spectral_norm && settings.power_iterations != "keep") {
    const bool one = settings.power_iterations == "one";
    c.dict = fold_spectral_norm(c.dict, one ? SpectralNorm::one_step : SpectralNorm::folded);
    c.metadata["spectral_norm"] = one ? "one_step" : "folded";
    c.what += one ? ", its spectral norm divided out after one power iteration" : ", its spectral norm divided out";
  }
  if (net.outputs == 5 && !c.metadata.contains("net")) {
    for (const auto& [key, value] : detector_metadata(detector_info(net))) c.metadata[key] = value;
  } else if (net.outputs != 5) {
    c.metadata["family"] = net.family;
  }
  if (net.outputs) c.what += cat(" of ", net.outputs, " outputs");
  return c;
}

bool verify(const WeightsFile& file, const ConvertSettings& settings, const CommonOptions& common) {
  Stream stream = open_device(common);
  const StateDict dict = without_wrapper_prefix(file.state_dict());
  bool passed = true;
  for (const std::string& path : settings.cases) {
    const ParityReport report = replay_parity_case(stream, Safetensors::open(path), {.weights = &dict});
    print_parity_report(path, report);
    passed &= report.passed();
  }
  return passed;
}

bool is_onnx(const ConvertSettings& settings) { return settings.out.ends_with(".onnx"); }

/// Whether convert wrote the file that is at OUT.
bool is_ours(const ConvertSettings& settings) {
  try {
    if (is_onnx(settings)) return is_our_onnx(MappedFile(settings.out).bytes());
    return WeightsFile::open(settings.out).metadata().contains("source");
  } catch (const DataError&) {  // no weights at all
    return false;
  }
}

/// OUT must be new, or what an earlier conversion wrote.
void check_target(const ConvertSettings& settings) {
  if (!is_onnx(settings)) check_weights_ending(settings.out);
  std::vector<std::string> inputs = settings.cases;
  inputs.push_back(settings.in);
  check_output("OUT", settings.out, inputs);
  if (!std::filesystem::is_regular_file(settings.out)) return;
  TT_CHECK(is_ours(settings), UsageError, "OUT ", settings.out,
           ": is there already, and convert did not write it; name another file");
}

void write_onnx(const WeightsFile& file, const ConvertSettings& settings, const CommonOptions& common) {
  Stream stream = open_device(common);
  const std::string model = onnx_model(file, stream, {.half = settings.dtype == "f16", .size = settings.size});
  write_atomically(settings.out, model);
  spdlog::info("{} ({}) → {}: ONNX, opset {}, {} bytes", settings.in, file.form(), settings.out, OnnxGraph::kOpset + 0,
               model.size());
}

int run(const ConvertSettings& settings, const CommonOptions& common) {
  TT_CHECK(settings.list || !settings.out.empty() || !settings.cases.empty(), UsageError,
           "nothing to do: give OUT, --list or --verify CASE");
  TT_CHECK(!is_onnx(settings) || (settings.dtype != "bf16" && !settings.any), UsageError, "OUT ", settings.out,
           ": an ONNX model is of a known net, in f32 or f16");
  TT_CHECK(settings.size == 0 || (is_onnx(settings) && settings.size % 8 == 0), UsageError,
           "--size is a multiple of 8, and for an OUT that ends in .onnx");
  if (!settings.out.empty()) check_target(settings);
  const WeightsFile file = WeightsFile::open(settings.in, settings.key);
  if (const std::string warning = manifest_warning(settings.in); !warning.empty()) spdlog::warn(warning);
  if (settings.list) print_listing(file);
  if (!settings.cases.empty() && !verify(file, settings, common)) return 1;
  if (settings.out.empty()) return 0;
  if (is_onnx(settings)) {
    write_onnx(file, settings, common);
    return 0;
  }
  Converted c = converted(file, settings);
  for (const auto& [name, type] : kStored) {
    if (settings.dtype == name) store_as(type, c.dict);
  }
  write_weights(settings.out, c.dict, c.metadata);
  spdlog::info("{} ({}) → {}: {}, {} tensors", settings.in, file.form(), settings.out, c.what, c.dict.size());
  return 0;
}

}  // namespace
}  // namespace telltale

int main(int argc, char** argv) {
  using namespace telltale;
  ConvertSettings settings;
  return run_tool(
      {"convert", "Turn weights from one form into another; list what a weights file holds."}, argc, argv,
      [&](CLI::App& app) {
        app.add_option("IN", settings.in, "a PyTorch file (zip or legacy) or safetensors, told by content")->required();
        app.add_option("OUT", settings.out,
                       "written whole or not at all: .safetensors, .pth, .pt, or .onnx for a whole net");
        app.add_flag("--list", settings.list, "print names, dtypes, shapes, statistics, and which net it is");
        app.add_option("--verify", settings.cases, "replay parity cases with these weights in place of the cases' own")
            ->type_name("CASE");
        app.add_option("--key", settings.key, "where in a PyTorch file the tensors are, as in G or model.state_dict");
        app.add_option("--power-iterations", settings.power_iterations,
                       "spectral norm: converge divides by the largest singular value; one by what PyTorch's forward "
                       "computes in its next step; keep leaves weight_bar, u and v")
            ->check(CLI::IsMember({"converge", "one", "keep"}))
            ->capture_default_str();
        app.add_option("--dtype", settings.dtype,
                       "store filters and matrices as f32, f16 or bf16; vectors stay. Of ONNX: all, and its "
                       "arithmetic, as f32 or f16")
            ->check(CLI::IsMember({"f32", "f16", "bf16"}));
        app.add_option("--size", settings.size, "of ONNX: pixels along both sides of a generator's pictures; 0: 256")
            ->check(CLI::Range(0, 4096));
        app.add_flag("--any", settings.any, "convert tensors of no known net too, as they are");
      },
      [&](const CommonOptions& common) { return run(settings, common); });
}
