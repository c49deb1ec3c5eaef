#include "kernels/device/host_values.h"

#include "kernels/device/buffer.h"
#include "kernels/device/dispatch.h"

namespace telltale {
namespace {

template <class F>
decltype(auto) visit_any(DType t, F&& f) {
  if (t == DType::u8) return f(Tag<uint8_t>{});
  if (t == DType::i32) return f(Tag<int32_t>{});
  return visit_float(t, f);
}

}  // namespace

std::vector<double> values_of(Stream& s, Tensor t) {
  std::vector<double> out(size_t(t.shape.numel()));
  visit_any(t.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    std::vector<T> host(out.size());
    s.sync();
    download(s, host.data(), t);
    for (size_t i = 0; i < out.size(); ++i) {
      if constexpr (std::is_integral_v<T>) {
        out[i] = double(host[i]);
      } else {
        out[i] = double(load(host[i]));
      }
    }
  });
  return out;
}

void set_values(Stream& s, Tensor t, const std::vector<double>& values) {
  TT_CHECK(int64_t(values.size()) == t.shape.numel(), ShapeError, "set_values: ", values.size(), " values for ",
           to_string(t.shape));
  visit_any(t.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    std::vector<T> host(values.size());
    for (size_t i = 0; i < values.size(); ++i) {
      if constexpr (std::is_integral_v<T>) {
        host[i] = T(values[i]);
      } else {
        host[i] = store<T>(acc_t<T>(values[i]));
      }
    }
    upload(s, t, host.data());
  });
}

}  // namespace telltale
