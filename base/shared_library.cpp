#include "base/shared_library.h"

#include <dlfcn.h>

#include "base/check.h"

namespace telltale {

SharedLibrary::SharedLibrary(std::initializer_list<const char*> names) {
  std::string reason;
  for (const char* folder : {"", "/usr/local/cuda/lib64/", "/usr/local/cuda/lib/"})
    for (const char* name : names) {
      name_ = name;
      handle_ = dlopen((folder + name_).c_str(), RTLD_NOW | RTLD_LOCAL);
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
