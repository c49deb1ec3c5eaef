#include <nlohmann/json.hpp>
#include <set>

#include "base/atomic_file.h"
#include "base/check.h"
#include "base/json_text.h"
#include "weights/pth.h"
#include "weights/pth_storage.h"
#include "weights/zip.h"

namespace telltale {

namespace {

const char* storage_of(FileDType t) {
  switch (t) {
    case FileDType::f64: return "DoubleStorage";
    case FileDType::f32: return "FloatStorage";
    case FileDType::f16: return "HalfStorage";
    case FileDType::bf16: return "BFloat16Storage";
    case FileDType::i64: return "LongStorage";
    case FileDType::i32: return "IntStorage";
    case FileDType::i16: return "ShortStorage";
    case FileDType::i8: return "CharStorage";
    case FileDType::u8: return "ByteStorage";
    case FileDType::boolean: return "BoolStorage";
  }
  return "?";
}

/// Pickle instructions (protocol 2) as bytes; nothing is put in the memo, so that nothing need be looked up.
class PickleText {
 public:
  void op(std::string_view bytes) { text_ += bytes; }
  void string(std::string_view s) {
    op("X");
    append(uint32_t(s.size()));
    text_ += s;
  }
  void number(int64_t n) {
    if (n >= INT32_MIN && n <= INT32_MAX) {
      op("J");
      append(int32_t(n));
    } else {
      op("\x8a\x08");  // LONG1 of 8 bytes
      append(n);
    }
  }
  void global(std::string_view module, std::string_view name) { op(cat("c", module, "\n", name, "\n")); }
  void tuple(const std::vector<int64_t>& numbers) {
    op("(");
    for (int64_t n : numbers) number(n);
    op("t");
  }
  void empty_ordered_dict() {
    global("collections", "OrderedDict");
    op(")R");
  }
  const std::string& text() const { return text_; }

 private:
  template <class T>
  void append(T n) {
    text_.append(reinterpret_cast<const char*>(&n), sizeof n);
  }
  std::string text_;
};

std::vector<int64_t> row_major_strides(const std::vector<int64_t>& shape) {
  std::vector<int64_t> strides(shape.size(), 1);
  for (size_t d = shape.size(); d-- > 1;) strides[d - 1] = strides[d] * std::max<int64_t>(shape[d], 1);
  return strides;
}

/// name → _rebuild_tensor_v2(storage, offset, shape, strides, requires_grad, hooks)
void pickle_tensor(PickleText& p, const TensorInfo& t, size_t key) {
  p.string(t.name);
  p.global("torch._utils", "_rebuild_tensor_v2");
  p.op("((");
  p.string("storage");
  p.global("torch", storage_of(t.dtype));
  p.string(std::to_string(key));
  p.string("cpu");
  p.number(t.numel());
  p.op("tQ");
  p.number(0);
  p.tuple(t.shape);
  p.tuple(row_major_strides(t.shape));
  p.op("\x89");
  p.empty_ordered_dict();
  p.op("tR");
}

}  // namespace

void write_pth(const std::string& path, const StateDict& dict, const Metadata& metadata) {
  PickleText pickle;
  pickle.op("\x80\x02");
  pickle.empty_ordered_dict();
  pickle.op("(");
  std::set<std::string_view> names;
  for (size_t i = 0; i < dict.size(); ++i) {
    TT_CHECK(names.insert(dict[i].info.name).second, DataError, path, ": two tensors called \"", dict[i].info.name,
             "\"");
    pickle_tensor(pickle, dict[i].info, i);
  }
  pickle.op("u.");

  const std::string folder = "archive/";
  AtomicFile file(path);
  ZipWriter zip(file);
  zip.add(folder + "data.pkl", pickle.text());
  zip.add(folder + "byteorder", "little");
  std::vector<unsigned char> scratch;
  for (size_t i = 0; i < dict.size(); ++i) zip.add(cat(folder, "data/", i), stored_bytes(dict[i], scratch));
  if (!metadata.empty()) zip.add(cat(folder, kMetadataMember), json_text(nlohmann::json(metadata)));
  zip.add(folder + "version", "3\n");
  zip.finish();
  file.commit();
}

}  // namespace telltale
