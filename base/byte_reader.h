#pragma once
// Little-endian numbers out of bytes that nobody vouches for.
#include <bit>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

#include "base/check.h"

namespace telltale {

static_assert(std::endian::native == std::endian::little, "weights files are little-endian");

/// A text view of bytes.
inline std::string_view text_of(std::span<const unsigned char> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// Walks forward through bytes; whatever would pass their end throws DataError.
class ByteReader {
 public:
  explicit ByteReader(std::span<const unsigned char> bytes, uint64_t at = 0) : bytes_(bytes), at_(0) { take(at); }

  uint64_t at() const { return at_; }
  uint64_t left() const { return bytes_.size() - at_; }
  std::span<const unsigned char> take(uint64_t count) {
    TT_CHECK(count <= left(), DataError, "cut short: byte ", at_, " should be followed by ", count, " more, ", left(),
             " are there");
    at_ += count;
    return bytes_.subspan(size_t(at_ - count), size_t(count));
  }
  template <class T>
  T number() {
    T value;
    std::memcpy(&value, take(sizeof(T)).data(), sizeof(T));
    return value;
  }
  /// Up to a newline, which is passed too.
  std::string_view line() {
    const std::string_view rest = text_of(bytes_.subspan(size_t(at_)));
    const size_t end = rest.find('\n');
    TT_CHECK(end != rest.npos, DataError, "cut short: byte ", at_, " begins a line that does not end");
    at_ += end + 1;
    return rest.substr(0, end);
  }

 private:
  std::span<const unsigned char> bytes_;
  uint64_t at_;
};

}  // namespace telltale
