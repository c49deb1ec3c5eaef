#include "base/shared_library.h"

#include <dlfcn.h>

#include <string>

#include "base/check.h"

namespace telltale {

SharedLibrary::SharedLibrary(const char* name) : name_(name) {
  std::string reason;
  for (const char* folder : {"", "/usr/local/cuda/lib64/", "/usr/local/cuda/lib/"}) {
    handle_ = dlopen((std::string(folder) + name).c_str(), RTLD_NOW | RTLD_LOCAL);
    if (handle_) return;
    const char* words = dlerror();
    if (reason.empty() && words) reason = words;
  }
  throw DeviceError(cat(reason, "; install it or add its folder to LD_LIBRARY_PATH"));
}

void* SharedLibrary::find(const char* symbol) const {
  void* f = dlsym(handle_, symbol);
  TT_CHECK(f, DeviceError, name_, " lacks ", symbol, ": it is older than the one this program was built for");
  return f;
}

}  // namespace telltale
