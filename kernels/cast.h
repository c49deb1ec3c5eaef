#pragma once
// Changing element type.
#include <initializer_list>

#include "kernels/device/dispatch.h"

namespace telltale {

/// to = from, rounded to nearest even; any two floating-point types, equal numel.
void cast(Stream&, Tensor from, Tensor to);
/// For libraries that want one type: tensors of `type` as they are, others as copies in
/// the stream's workspace, which this holds until it goes out of scope. Nothing that takes the workspace itself may run
/// meanwhile.
class TypedCopies {
 public:
  /// Takes room for copies of `tensors` (absent ones need none) and for `extra` bytes of the caller's own.
  TypedCopies(Stream& s, DType type, std::initializer_list<Tensor> tensors, size_t extra = 0)
      : stream_(s), type_(type) {
    size_t total = rounded(extra);
    for (const Tensor& t : tensors) total += copied(t) ? bytes_of(t) : 0;
    extra_ = s.workspace(total).as<char>();
    next_ = extra_ + rounded(extra);
  }
  char* extra() const { return extra_; }
  /// t itself, or unwritten room of its shape; t must have been among `tensors`.
  Tensor room(const Tensor& t) {
    if (!copied(t)) return t;
    const Tensor f{next_, t.shape, type_};
    next_ += bytes_of(t);
    return f;
  }
  /// t itself, or its values in the type.
  Tensor values(const Tensor& t) {
    const Tensor f = room(t);
    if (copied(t)) cast(stream_, t, f);
    return f;
  }

 private:
  bool copied(const Tensor& t) const { return t && t.dtype != type_; }
  static size_t rounded(size_t bytes) { return (bytes + 63) / 64 * 64; }
  size_t bytes_of(const Tensor& t) const { return rounded(size_t(t.shape.numel()) * size_of(type_)); }
  Stream& stream_;
  DType type_;
  char *extra_, *next_;
};

}  // namespace telltale
