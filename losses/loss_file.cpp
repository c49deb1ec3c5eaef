#include "losses/loss_file.h"

#include <dlfcn.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>

#include "base/atomic_file.h"
#include "base/check.h"
#include "base/shell.h"
#include "kernels/device/device_module.h"
#include "losses/embedded_headers.h"
#include "losses/loss.h"
#include "losses/loss_cache.h"
#include "losses/nvrtc.h"

namespace telltale {
namespace {

namespace fs = std::filesystem;

struct LoadedFile {
  std::string path, cache;
  std::unique_ptr<DeviceModule> module;  ///< compiled when a device first asks
};
/// By the loss's name.
std::map<std::string, LoadedFile>& loaded() {
  static std::map<std::string, LoadedFile> all;
  return all;
}

/// Fowler, Noll & Vo's 64-bit hash 1a, in hexadecimal: names files in a cache, and guards nothing.
std::string hash_of(const std::string& text) {
  uint64_t hash = 0xcbf29ce484222325u;
  for (const unsigned char c : text) hash = (hash ^ c) * 0x100000001b3u;
  char digits[17];
  std::snprintf(digits, sizeof digits, "%016llx", static_cast<unsigned long long>(hash));
  return digits;
}

std::string text_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  TT_CHECK(file, UsageError, path, ": cannot open this loss file");
  return {std::istreambuf_iterator<char>(file), {}};
}

/// The embedded headers as files; their folder's name says their contents.
std::string include_folder(const std::string& cache) {
  std::string all;
  for (const EmbeddedFile& h : embedded_headers()) all += cat(h.path, "\n", h.text);
  std::string folder = cat(cache, "/include-", hash_of(all));
  for (const EmbeddedFile& h : embedded_headers()) {
    const std::string path = cat(folder, "/", h.path);
    if (fs::exists(path)) continue;
    fs::create_directories(fs::path(path).parent_path());
    write_atomically(path, h.text);
  }
  return folder;
}

/// Runs a compiler; throws UsageError with its first error.
void compile(const std::string& command, const std::string& path) {
  FILE* pipe = popen((command + " 2>&1").c_str(), "r");
  TT_CHECK(pipe, DeviceError, "cannot start the compiler: ", command);
  std::string output;
  char part[4096];
  for (size_t n; (n = std::fread(part, 1, sizeof part, pipe)) > 0;) output.append(part, n);
  const int status = pclose(pipe);
  TT_CHECK(status == 0, UsageError, path,
           " does not compile: ", first_error(output, "the compiler failed: " + command));
}

std::string compiler() {
  const char* chosen = std::getenv("CXX");
  if (chosen && *chosen) return chosen;
  return fs::exists(TT_COMPILER) ? shell_word(TT_COMPILER) : "c++";
}

/// Removes a file at the end, whatever the end is.
struct Scratch {
  std::string path;
  ~Scratch() {
    std::error_code error;
    fs::remove(path, error);
  }
};

/// The shared object of a loss file, compiled unless the cache has it.
std::string compiled(const std::string& path, const std::string& cache) {
  const std::string flags = cat(" -std=c++20 -O2 -fPIC -fopenmp -fno-math-errno",
                                TT_COMPILE_NATIVE ? " -march=native" : "", " -DTT_CUDA=0 -DTT_LOSS_FILE");
  const std::string unit = cat(cache, "/", hash_of(path), "-", getpid()), source = unit + ".cpp", whole = unit + ".ii";
  const Scratch one{source}, two{whole};
  write_atomically(source, "");  // the file by -include: any path goes through a shell's quotes, not through #include's
  compile(cat(compiler(), flags, " -I", shell_word(include_folder(cache)), " -include ", shell_word(path), " -E ",
              shell_word(source), " -o ", shell_word(whole)),
          path);
  std::string text = compiler() + flags;
  std::ifstream preprocessed(whole);
  for (std::string line; std::getline(preprocessed, line);) {
    if (!line.starts_with("# ")) text += line + "\n";  // those name files, wherever they lie
  }
  std::string object = cat(cache, "/", hash_of(text), ".so");
  const std::string part = cat(object, ".part-", getpid());
  const Scratch three{part};
  if (!is_sealed(object)) {
    compile(cat(compiler(), flags, " -shared -fpreprocessed ", shell_word(whole), " -o ", shell_word(part)), path);
    seal(part);
    fs::permissions(part, fs::perms::group_write | fs::perms::others_write, fs::perm_options::remove);
    fs::rename(part, object);
  }
  return object;
}

}  // namespace

std::string first_error(const std::string& output, const std::string& otherwise) {
  std::istringstream lines(output);
  std::string first;
  for (std::string line; std::getline(lines, line);) {
    if (line.find("error") != std::string::npos) return line;
    if (first.empty()) first = line;
  }
  return first.empty() ? otherwise : first;
}

std::string load_loss_file(const std::string& given, const std::string& cache_given) {
  TT_CHECK(fs::is_regular_file(given), UsageError, given, ": there is no such loss file");
  const std::string path = fs::canonical(given), cache = loss_cache_folder(cache_given);
  for (const auto& [name, file] : loaded()) {
    if (file.path == path) return name;
  }
  const std::vector<std::string> before = loss_names();
  const std::string object = compiled(path, cache);
  TT_CHECK(dlopen(object.c_str(), RTLD_NOW | RTLD_LOCAL), UsageError, path,
           ": cannot load what was compiled: ", dlerror());
  for (const std::string& name : loss_names()) {
    if (std::find(before.begin(), before.end(), name) != before.end()) continue;
    loaded()[name] = {path, cache, nullptr};
    return name;
  }
  std::string names;
  for (const std::string& n : before) names += (names.empty() ? "" : ", ") + n;
  throw UsageError(
      cat(path,
          " registers no loss: its last line must be TT_REGISTER_LOSS(\"name\", Struct), with a name other "
          "than ",
          names));
}

std::string compile_loss_file_for_device(const std::string& path, const std::string& architecture,
                                         const std::string& cache) {
  const std::string folder = fs::canonical(path).parent_path();
  return nvrtc_compile(text_of(path), path, architecture, {include_folder(loss_cache_folder(cache)), folder});
}

void launch_loss_file(const std::string& loss, Stream& s, const std::string& kernel, int64_t n, const void* row) {
  LoadedFile& file = loaded().at(loss);
  if (!file.module) {
    file.module =
        std::make_unique<DeviceModule>(compile_loss_file_for_device(file.path, device_architecture(), file.cache));
  }
  file.module->launch(s, kernel, n, row);
}

}  // namespace telltale
