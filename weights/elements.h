#pragma once
// The element types of weights files as C++ types.
#include <cstring>
#include <type_traits>
#include <vector>

#include "kernels/device/half.h"
#include "weights/state_dict.h"

namespace telltale {

/// Calls f(Tag<stored type>{}).
template <class F>
void visit_stored(FileDType t, F&& f) {
  switch (t) {
    case FileDType::f64: return f(Tag<double>{});
    case FileDType::f32: return f(Tag<float>{});
    case FileDType::f16: return f(Tag<f16>{});
    case FileDType::bf16: return f(Tag<bf16>{});
    case FileDType::i64: return f(Tag<int64_t>{});
    case FileDType::i32: return f(Tag<int32_t>{});
    case FileDType::i16: return f(Tag<int16_t>{});
    case FileDType::i8: return f(Tag<int8_t>{});
    case FileDType::u8:
    case FileDType::boolean: return f(Tag<uint8_t>{});
  }
}

/// One element of stored type S as a number of type T: exactly where T holds it, rounded otherwise. `from` need not be
/// aligned: nothing says that a tensor's offset is.
template <class T, class S>
T widened_element(const unsigned char* from) {
  S stored;
  std::memcpy(&stored, from, sizeof(S));
  if constexpr (is_half<S>) {
    return T(float(stored));
  } else {
    return T(stored);
  }
}

/// Elements as numbers of type T.
template <class T>
std::vector<T> widened(FileDType dtype, StateTensor::Bytes from) {
  std::vector<T> values(from.size() / size_of(dtype));
  visit_stored(dtype, [&](auto tag) {
    using S = typename decltype(tag)::type;
    for (size_t i = 0; i < values.size(); ++i) values[i] = widened_element<T, S>(from.data() + i * sizeof(S));
  });
  return values;
}

/// The reverse, rounded: values.size() elements to `to`.
inline void narrow(FileDType dtype, const std::vector<double>& values, unsigned char* to) {
  visit_stored(dtype, [&](auto tag) {
    using S = typename decltype(tag)::type;
    for (size_t i = 0; i < values.size(); ++i) {
      S stored;
      if constexpr (is_half<S>) {
        stored = S(float(values[i]));
      } else {
        stored = S(values[i]);
      }
      std::memcpy(to + i * sizeof(S), &stored, sizeof(S));
    }
  });
}

}  // namespace telltale
