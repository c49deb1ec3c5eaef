#pragma once
// Errors: every one a user can cause ends in one clear line, so each carries what, where, expected and actual.
#include <sstream>
#include <stdexcept>
#include <string>

namespace telltale {

struct Error : std::runtime_error {
  using std::runtime_error::runtime_error;
};
/// A tensor's shape does not fit a layer or kernel; the text names it.
struct ShapeError : Error {
  using Error::Error;
};
/// A device is absent, too old, out of memory, or a call on it failed.
struct DeviceError : Error {
  using Error::Error;
};
/// A file, folder, image, table or weights file is not what it should be.
struct DataError : Error {
  using Error::Error;
};
/// Command line or settings are wrong: exit code 2.
struct UsageError : Error {
  using Error::Error;
};

/// Joins anything printable into one string.
template <class... A>
std::string cat(const A&... a) {
  std::ostringstream s;
  (s << ... << a);
  return s.str();
}

}  // namespace telltale

/// TT_CHECK(condition, ShapeError, "conv1: expected ", a, ", got ", b) throws when the condition is false.
#define TT_CHECK(condition, Type, ...)                          \
  do {                                                          \
    if (!(condition)) throw Type(::telltale::cat(__VA_ARGS__)); \
  } while (false)
