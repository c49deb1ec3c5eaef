#include "weights/state_dict.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "weights/elements.h"

namespace telltale {

size_t size_of(FileDType t) {
  switch (t) {
    case FileDType::f64:
    case FileDType::i64: return 8;
    case FileDType::f32:
    case FileDType::i32: return 4;
    case FileDType::f16:
    case FileDType::bf16:
    case FileDType::i16: return 2;
    case FileDType::i8:
    case FileDType::u8:
    case FileDType::boolean: return 1;
  }
  return 0;
}

const char* name_of(FileDType t) {
  switch (t) {
    case FileDType::f64: return "F64";
    case FileDType::f32: return "F32";
    case FileDType::f16: return "F16";
    case FileDType::bf16: return "BF16";
    case FileDType::i64: return "I64";
    case FileDType::i32: return "I32";
    case FileDType::i16: return "I16";
    case FileDType::i8: return "I8";
    case FileDType::u8: return "U8";
    case FileDType::boolean: return "BOOL";
  }
  return "?";
}

int64_t TensorInfo::numel() const {
  int64_t n = 1;
  for (int64_t d : shape) n *= d;
  return n;
}

std::string to_string(const std::vector<int64_t>& shape) {
  std::string s = "[";
  for (size_t i = 0; i < shape.size(); ++i) s += cat(i ? "," : "", shape[i]);
  return s + "]";
}

StateTensor::Bytes stored_bytes(const StateTensor& t, std::vector<unsigned char>& scratch) {
  if (t.stored) return t.stored(scratch);
  const std::vector<double> values = t.read();
  TT_CHECK(int64_t(values.size()) == t.info.numel(), DataError, "\"", t.info.name, "\" of shape ",
           to_string(t.info.shape), " gave ", values.size(), " values");
  scratch.resize(values.size() * size_of(t.info.dtype));
  narrow(t.info.dtype, values, scratch.data());
  return scratch;
}

namespace {

/// Of little-endian floats whose exponent's bits are `exponent`: all ones mean infinite or no number.
template <class Bits>
int64_t count_all_ones(StateTensor::Bytes bytes, Bits exponent) {
  const auto count = int64_t(bytes.size() / sizeof(Bits));
  int64_t found = 0;
#pragma omp parallel for reduction(+ : found) if (count > (1 << 18))
  for (int64_t i = 0; i < count; ++i) {
    Bits bits;
    std::memcpy(&bits, bytes.data() + size_t(i) * sizeof(Bits), sizeof(Bits));
    found += (bits & exponent) == exponent;
  }
  return found;
}

}  // namespace

int64_t count_not_finite(const StateTensor& t) {
  std::vector<unsigned char> scratch;
  switch (t.info.dtype) {
    case FileDType::f64: return count_all_ones<uint64_t>(stored_bytes(t, scratch), 0x7ff0000000000000);
    case FileDType::f32: return count_all_ones<uint32_t>(stored_bytes(t, scratch), 0x7f800000);
    case FileDType::f16: return count_all_ones<uint16_t>(stored_bytes(t, scratch), 0x7c00);
    case FileDType::bf16: return count_all_ones<uint16_t>(stored_bytes(t, scratch), 0x7f80);
    default: return 0;
  }
}

const StateTensor* find(const StateDict& dict, std::string_view name) {
  const auto it = std::find_if(dict.begin(), dict.end(), [&](const StateTensor& t) { return t.info.name == name; });
  return it == dict.end() ? nullptr : &*it;
}

const StateTensor& require(const StateDict& dict, std::string_view name) {
  const StateTensor* t = find(dict, name);
  TT_CHECK(t, DataError, "no tensor called \"", name, "\" among ", dict.size());
  return *t;
}

StateTensor state_tensor(std::string name, std::vector<int64_t> shape, std::vector<double> values, FileDType dtype) {
  return {{std::move(name), dtype, std::move(shape)}, [v = std::move(values)] { return v; }};
}

std::string wrapper_prefix(const StateDict& dict) {
  constexpr std::string_view kWrappers[] = {"_orig_mod.", "model.", "module."};
  std::string prefix;
  for (bool longer = !dict.empty(); longer;) {
    longer = false;
    for (const std::string_view wrapper : kWrappers) {
      const bool everywhere = std::all_of(dict.begin(), dict.end(), [&](const StateTensor& t) {
        return std::string_view(t.info.name).substr(std::min(prefix.size(), t.info.name.size())).starts_with(wrapper);
      });
      if (!everywhere) continue;
      prefix += wrapper;
      longer = true;
    }
  }
  return prefix;
}

StateDict without_wrapper_prefix(StateDict dict) {
  const size_t length = wrapper_prefix(dict).size();
  for (StateTensor& t : dict) t.info.name.erase(0, length);
  return dict;
}

}  // namespace telltale
