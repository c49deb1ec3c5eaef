#include "weights/state_dict.h"

#include <algorithm>

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

StateDict without_module_prefix(StateDict dict) {
  constexpr std::string_view kPrefix = "module.";
  const bool everywhere =
      std::all_of(dict.begin(), dict.end(), [&](const StateTensor& t) { return t.info.name.starts_with(kPrefix); });
  if (everywhere)
    for (StateTensor& t : dict) t.info.name.erase(0, kPrefix.size());
  return dict;
}

}  // namespace telltale
