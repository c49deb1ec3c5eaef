#pragma once
// A library bound at run time: programs then start on machines that lack it, and say so only when they need it.
#include <initializer_list>
#include <string>

namespace telltale {

/// Stays open until the process ends, since GPU libraries do not survive being closed.
class SharedLibrary {
 public:
  /// Opens the first of these names that is found: by the loader's search path, then in the CUDA toolkit's usual
  /// folders. Throws DeviceError with the loader's words on the first and what to do.
  SharedLibrary(std::initializer_list<const char*> names);
  /// Binds a function; throws DeviceError when the library is too old to have it.
  template <class F>
  void bind(F*& function, const char* symbol) const {
    function = reinterpret_cast<F*>(find(symbol));
  }

 private:
  void* find(const char* symbol) const;
  std::string name_;  ///< of the one that was opened
  void* handle_ = nullptr;
};

}  // namespace telltale
