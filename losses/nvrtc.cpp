#include "losses/nvrtc.h"

#include "base/check.h"
#include "base/shared_library.h"
#include "losses/loss_file.h"

namespace telltale {
namespace {

/// The few calls of NVRTC's C interface (nvrtc.h, unchanged since CUDA 11.1): its header need not be there when
/// building.
struct Nvrtc {
  using Program = void*;
  int (*create)(Program*, const char* source, const char* name, int headers, const char* const* texts,
                const char* const* names) = nullptr;
  int (*compile)(Program, int options, const char* const* texts) = nullptr;
  int (*destroy)(Program*) = nullptr;
  int (*log_size)(Program, size_t*) = nullptr;
  int (*log)(Program, char*) = nullptr;
  int (*cubin_size)(Program, size_t*) = nullptr;
  int (*cubin)(Program, char*) = nullptr;
  const char* (*error_string)(int) = nullptr;
  std::string missing;  ///< why there is none

  Nvrtc() {
    try {
      const SharedLibrary so{"libnvrtc.so", "libnvrtc.so.13", "libnvrtc.so.12"};
      so.bind(create, "nvrtcCreateProgram");
      so.bind(compile, "nvrtcCompileProgram");
      so.bind(destroy, "nvrtcDestroyProgram");
      so.bind(log_size, "nvrtcGetProgramLogSize");
      so.bind(log, "nvrtcGetProgramLog");
      so.bind(cubin_size, "nvrtcGetCUBINSize");
      so.bind(cubin, "nvrtcGetCUBIN");
      so.bind(error_string, "nvrtcGetErrorString");
    } catch (const DeviceError& e) {
      missing = cat("NVRTC, which compiles loss files for the GPU: ", e.what());
    }
  }
  static const Nvrtc& here() {
    static const Nvrtc one;
    return one;
  }
};

void check(const Nvrtc& n, int status, const char* what) {
  TT_CHECK(status == 0, DeviceError, "NVRTC: ", what, ": ", n.error_string(status));
}

struct StandardHeader {
  const char *name, *text;
};
/// NVRTC knows the language and CUDA's functions, but no standard library: what the device part of our headers names.
constexpr StandardHeader kStandardHeaders[] = {
    {"cmath",
     "#pragma once\nnamespace std { using ::abs; using ::sqrt; using ::exp; using ::log; using ::log1p; using ::pow; "
     "using ::sin; using ::cos; using ::atan; using ::atan2; using ::tanh; }\n"},
    {"cstdint",
     "#pragma once\nusing int8_t = signed char; using uint8_t = unsigned char; using int16_t = short; using uint16_t = "
     "unsigned short; using int32_t = int; using uint32_t = unsigned; using int64_t = long; using uint64_t = unsigned "
     "long;\n"},
    {"cstddef", "#pragma once\nnamespace std { using ::size_t; }\n"},
    {"cstring", "#pragma once\n"},
    {"bit", "#pragma once\n"},
    {"string", "#pragma once\nnamespace std { class string; }\n"},
    {"limits",
     "#pragma once\nnamespace std { template <class T> struct numeric_limits; template <> struct "
     "numeric_limits<double> { "
     "static constexpr double max() { return 1.7976931348623157e308; } }; }\n"},
    {"type_traits",
     "#pragma once\nnamespace std { template <bool, class A, class> struct conditional { using type = A; }; template "
     "<class A, class B> struct conditional<false, A, B> { using type = B; }; template <bool c, class A, class B> "
     "using "
     "conditional_t = typename conditional<c, A, B>::type; template <class, class> constexpr bool is_same_v = false; "
     "template <class A> constexpr bool is_same_v<A, A> = true; }\n"},
};

}  // namespace

std::string nvrtc_unavailable_reason() { return Nvrtc::here().missing; }

std::string nvrtc_compile(const std::string& source, const std::string& name, const std::string& architecture,
                          const std::vector<std::string>& include_folders) {
  const Nvrtc& n = Nvrtc::here();
  TT_CHECK(n.missing.empty(), DeviceError, n.missing);
  std::vector<std::string> options = {"--std=c++20", "--device-as-default-execution-space",
                                      "--gpu-architecture=" + architecture};
  for (const std::string& folder : include_folders) options.push_back("--include-path=" + folder);
  std::vector<const char*> words, texts, names;
  for (const std::string& o : options) words.push_back(o.c_str());
  for (const StandardHeader& h : kStandardHeaders) {
    texts.push_back(h.text);
    names.push_back(h.name);
  }
  struct Handle {
    const Nvrtc& n;
    Nvrtc::Program program = nullptr;
    ~Handle() { n.destroy(&program); }
  } made{n};
  check(n, n.create(&made.program, source.c_str(), name.c_str(), int(texts.size()), texts.data(), names.data()),
        "cannot begin");
  const int status = n.compile(made.program, int(words.size()), words.data());
  size_t size = 0;
  check(n, n.log_size(made.program, &size), "no log");
  std::string log(size, '\0');
  check(n, n.log(made.program, log.data()), "no log");
  TT_CHECK(status == 0, UsageError, name, " does not compile for the GPU: ", first_error(log, n.error_string(status)));
  check(n, n.cubin_size(made.program, &size), "no machine code");
  std::string cubin(size, '\0');
  check(n, n.cubin(made.program, cubin.data()), "no machine code");
  return cubin;
}

}  // namespace telltale
