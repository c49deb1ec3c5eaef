#pragma once
// A library bound at run time: programs then start on machines that lack it, and say so only when they need it.
#include <initializer_list>

namespace telltale {

/// Stays open until the process ends, since GPU libraries do not survive being closed.
class SharedLibrary {
 public:
  /// Opens `name` by the loader's search path, then in the CUDA toolkit's usual folders. Throws DeviceError with the
  /// loader's words and what to do.
  explicit SharedLibrary(const char* name);
  /// Binds a function; throws DeviceError when the library is too old to have it.
  template <class F>
  void bind(F*& function, const char* symbol) const {
    function = reinterpret_cast<F*>(find(symbol));
  }

 private:
  void* find(const char* symbol) const;
  const char* name_;
  void* handle_ = nullptr;
};

}  // namespace telltale
