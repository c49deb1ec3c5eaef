#include "weights/pth.h"

#include <algorithm>
#include <set>

#include "base/byte_reader.h"
#include "weights/elements.h"
#include "weights/pth_storage.h"

namespace telltale {

namespace {

using Bytes = StateTensor::Bytes;
using Kind = PickleValue::Kind;

constexpr std::string_view kZipMagic = "PK\x03\x04";
// Where people keep a net's weights in a checkpoint; an inpainter's generator before its discriminator.
constexpr std::string_view kUsualKeys[] = {"state_dict", "model_state_dict", "model", "params",
                                           "netG",       "generator",        "G"};
constexpr int kMaxSteps = 4;

/// Elements of a tensor within its storage.
struct View {
  Bytes storage;  ///< from the tensor's first element on
  size_t element;
  std::vector<int64_t> shape, strides;
};

/// Calls f(byte offset of a run, its length in elements) along the last axis, in row-major order.
template <class F>
void for_each_row(const View& v, F&& f) {
  const size_t outer = v.shape.size() - 1;
  std::vector<int64_t> at(outer, 0);
  for (;;) {
    int64_t offset = 0;
    for (size_t d = 0; d < outer; ++d) offset += at[d] * v.strides[d];
    f(size_t(offset) * v.element);
    size_t d = outer;
    while (d > 0 && ++at[d - 1] == v.shape[d - 1]) at[--d] = 0;
    if (d == 0) return;
  }
}

/// Copies a tensor's elements into row-major order.
Bytes gather(const View& v, size_t count, std::vector<unsigned char>& to) {
  to.resize(count * v.element);
  if (count == 0) return to;
  unsigned char* out = to.data();
  const size_t step = size_t(v.strides.back()) * v.element;
  for_each_row(v, [&](size_t from) {
    for (int64_t i = 0; i < v.shape.back(); ++i, out += v.element)
      std::memcpy(out, v.storage.data() + from + size_t(i) * step, v.element);
  });
  return to;
}

bool is_row_major(const View& v) {
  int64_t expected = 1;
  for (size_t d = v.shape.size(); d-- > 0; expected *= v.shape[d])
    if (v.shape[d] != 1 && v.strides[d] != expected) return false;
  return true;
}

}  // namespace

class PthReader {
 public:
  PthReader(Pth& to, const PthContainer& from)
      : to_(to),
        pickle_(from.pickle),
        storages_(from.storages),
        bytes_left_(16 * (uint64_t(to.file_.bytes().size()) + (1 << 20))) {}

  void read(const std::string& key) {
    const PickleValue& dict = key.empty() ? find_dictionary() : follow(key);
    std::set<std::string_view> names;
    for (size_t i = 0; i + 1 < dict.items.size(); i += 2) {
      const PickleValue& name = pickle_[dict.items[i]];
      if (!is_tensor(pickle_[dict.items[i + 1]])) {
        to_.skipped_.push_back(name.kind == Kind::text ? std::string(name.text) : "(a key that is no text)");
        continue;
      }
      TT_CHECK(name.kind == Kind::text, DataError, "a tensor's name is no text");
      TT_CHECK(names.insert(name.text).second, DataError, "two tensors called \"", name.text, "\"");
      try {
        add_tensor(std::string(name.text), pickle_[dict.items[i + 1]]);
      } catch (const DataError& e) {
        throw DataError(cat("\"", name.text, "\": ", e.what()));
      }
    }
  }

 private:
  // --- which dictionary ---
  bool is_tensor(const PickleValue& v) const {
    return v.kind == Kind::object && !v.items.empty() && pickle_[v.items[0]].text.starts_with("torch._utils._rebuild_");
  }
  bool holds_tensors(const PickleValue& v) const {
    if (v.kind != Kind::dict) return false;
    for (size_t i = 1; i < v.items.size(); i += 2)
      if (is_tensor(pickle_[v.items[i]])) return true;
    return false;
  }
  /// Key of the first inner dictionary that holds tensors; "" when none does. Each is looked into once, however often
  /// it is put in.
  std::string_view first_with_tensors(const PickleValue& dict) const {
    std::set<uint32_t> seen;
    for (size_t i = 0; i + 1 < dict.items.size(); i += 2) {
      const PickleValue& key = pickle_[dict.items[i]];
      const uint32_t inner = dict.items[i + 1];
      if (key.kind == Kind::text && seen.insert(inner).second && holds_tensors(pickle_[inner])) return key.text;
    }
    return "";
  }
  /// Dictionaries of tensors beside the one that is taken: averaged weights, say. Each is looked into once, however
  /// often it is put in.
  void note_others(const PickleValue& dict, std::string_view taken) {
    constexpr size_t kMost = 8;
    std::set<uint32_t> seen;
    for (size_t i = 0; i + 1 < dict.items.size() && to_.others_.size() < kMost; i += 2) {
      const PickleValue& key = pickle_[dict.items[i]];
      const uint32_t inner = dict.items[i + 1];
      if (key.kind != Kind::text || key.text == taken || !seen.insert(inner).second) continue;
      if (!holds_tensors(pickle_[inner])) continue;
      to_.others_.push_back(cat(to_.found_under_, to_.found_under_.empty() ? "" : ".", key.text));
    }
  }
  const PickleValue& step_into(const PickleValue& dict, std::string_view key) {
    const PickleValue* next = pickle_.find(dict, key);
    TT_CHECK(next && next->kind == Kind::dict, DataError, "no dictionary under \"", key, "\"; ", keys_of(dict));
    to_.found_under_ += cat(to_.found_under_.empty() ? "" : ".", key);
    return *next;
  }
  const PickleValue& follow(std::string_view key) {
    const PickleValue* dict = &pickle_.root();
    while (!key.empty()) {
      const size_t dot = std::min(key.find('.'), key.size());
      dict = &step_into(*dict, key.substr(0, dot));
      key.remove_prefix(std::min(dot + 1, key.size()));
    }
    return *dict;
  }
  const PickleValue& find_dictionary() {
    const PickleValue* dict = &pickle_.root();
    TT_CHECK(dict->kind == Kind::dict, DataError,
             "not a dictionary of tensors: torch.save(model.state_dict(), …) writes one");
    for (int step = 0; step < kMaxSteps; ++step) {
      std::string_view next;
      for (std::string_view key : kUsualKeys) {
        const PickleValue* inner = pickle_.find(*dict, key);
        if (next.empty() && inner && inner->kind == Kind::dict) next = key;
      }
      const bool here = next.empty() && (holds_tensors(*dict) || dict->items.empty());
      if (!here && next.empty()) next = first_with_tensors(*dict);
      note_others(*dict, next);
      if (here) return *dict;
      TT_CHECK(!next.empty(), DataError, "no dictionary of tensors in it; ", keys_of(*dict));
      dict = &step_into(*dict, next);
    }
    throw DataError("its dictionaries are nested too deeply");
  }
  std::string keys_of(const PickleValue& dict) const {
    std::string list = "its keys:";
    for (size_t i = 0; i < std::min<size_t>(dict.items.size(), 20); i += 2)
      list += cat(" ", pickle_[dict.items[i]].text.substr(0, 60));
    return list + (dict.items.size() > 20 ? " …" : "");
  }

  // --- one tensor ---
  const PickleValue& argument(const PickleValue& object, size_t index) const {
    const PickleValue& arguments = pickle_[object.items[1]];
    TT_CHECK(index < arguments.items.size(), DataError, "too few arguments");
    return pickle_[arguments.items[index]];
  }
  std::vector<int64_t> lengths(const PickleValue& v, const char* what) const {
    TT_CHECK(v.kind == Kind::tuple && v.items.size() <= 32, DataError, what, " is no tuple of at most 32 numbers");
    std::vector<int64_t> numbers;
    for (uint32_t item : v.items) {
      const PickleValue& n = pickle_[item];
      TT_CHECK(n.kind == Kind::integer && n.integer >= 0, DataError, what,
               " holds something else than whole numbers from 0");
      numbers.push_back(n.integer);
    }
    return numbers;
  }

  void add_tensor(std::string name, const PickleValue& value) {
    const PickleValue* tensor = &value;
    if (pickle_[tensor->items[0]].text.ends_with("_rebuild_parameter")) tensor = &argument(*tensor, 0);
    TT_CHECK(is_tensor(*tensor) && !pickle_[tensor->items[0]].text.ends_with("_rebuild_parameter"), DataError,
             "a parameter of something else than a tensor");
    const std::string_view made_by = pickle_[tensor->items[0]].text;
    TT_CHECK(made_by.ends_with("_rebuild_tensor") || made_by.ends_with("_rebuild_tensor_v2"), DataError,
             "a tensor of a kind that is not read (sparse, quantised, without values, or of 8-bit floats): ", made_by);
    const PickleValue& persistent = argument(*tensor, 0);
    TT_CHECK(persistent.kind == Kind::persistent, DataError, "a tensor without a storage");
    const StorageName storage = storage_name(pickle_, persistent);
    const PickleValue& offset = argument(*tensor, 1);
    TT_CHECK(offset.kind == Kind::integer && offset.integer >= 0, DataError, "its offset is no whole number from 0");
    View view{{},
              size_of(storage.dtype),
              lengths(argument(*tensor, 2), "its shape"),
              lengths(argument(*tensor, 3), "its strides")};
    TensorInfo info{std::move(name), storage.dtype, view.shape};
    const uint64_t count = check_extent(view, storage, uint64_t(offset.integer));
    const uint64_t bytes = count * view.element;
    TT_CHECK(bytes <= bytes_left_, DataError,
             "the tensors repeat their storages so often that they are far larger than the file");
    bytes_left_ -= bytes;

    const auto found = storages_.find(storage.key);
    TT_CHECK(found != storages_.end(), DataError, "its storage \"", storage.key, "\" is not in the file");
    TT_CHECK(found->second.size() / view.element == storage.elements && found->second.size() % view.element == 0,
             DataError, "its storage \"", storage.key, "\" has ", found->second.size(), " bytes, not ",
             storage.elements, " elements of ", view.element);
    view.storage = count == 0
                       ? Bytes()
                       : found->second.subspan(size_t(storage.view_begin + uint64_t(offset.integer)) * view.element);
    add(std::move(info), std::move(view), size_t(count));
  }
  /// Checks that every element lies inside the storage; returns how many there are.
  static uint64_t check_extent(const View& v, const StorageName& storage, uint64_t offset) {
    TT_CHECK(v.shape.size() == v.strides.size(), DataError, "shape ", to_string(v.shape), " with strides ",
             to_string(v.strides));
    int64_t count = 1, last = 0;
    bool fits = true;
    const bool empty = std::find(v.shape.begin(), v.shape.end(), 0) != v.shape.end();
    if (empty) return 0;
    for (size_t d = 0; d < v.shape.size(); ++d) {
      int64_t reach;
      fits &= !__builtin_mul_overflow(count, v.shape[d], &count) &&
              !__builtin_mul_overflow(v.shape[d] - 1, v.strides[d], &reach) &&
              !__builtin_add_overflow(last, reach, &last);
      if (!fits) break;
    }
    fits = fits && offset < storage.view_elements && uint64_t(last) < storage.view_elements - offset &&
           count < (int64_t(1) << 60);
    TT_CHECK(fits, DataError, "shape ", to_string(v.shape), ", strides ", to_string(v.strides), ", offset ", offset,
             " reach outside its storage of ", storage.view_elements);
    return uint64_t(count);
  }
  void add(TensorInfo info, View view, size_t count) {
    StateTensor t{std::move(info), {}, {}};
    const FileDType dtype = t.info.dtype;
    if (view.shape.empty() || is_row_major(view)) {
      const Bytes bytes = view.storage.first(count * view.element);
      t.read = [bytes, dtype] { return widened<double>(dtype, bytes); };
      t.stored = [bytes](std::vector<unsigned char>&) { return bytes; };
    } else {
      t.read = [view, count, dtype] {
        std::vector<unsigned char> rows;
        return widened<double>(dtype, gather(view, count, rows));
      };
      t.stored = [view, count](std::vector<unsigned char>& scratch) { return gather(view, count, scratch); };
    }
    to_.tensors_.push_back(std::move(t));
  }

  Pth& to_;
  const Pickle& pickle_;
  const std::map<std::string_view, Bytes>& storages_;
  uint64_t bytes_left_;  ///< of all tensors: what keeps a small file from becoming an endless one
};

bool Pth::begins(Bytes file) {
  const std::string_view text = text_of(file);
  return text.starts_with(kZipMagic) || begins_legacy(text);
}

Pth Pth::open(const std::string& path, const std::string& key) try {
  Pth p;
  p.path_ = path;
  p.file_ = MappedFile(path);
  const Bytes bytes = p.file_.bytes();
  TT_CHECK(begins(bytes), DataError, "not a PyTorch file");
  const PthContainer container = text_of(bytes).starts_with(kZipMagic) ? open_pth_zip(bytes) : open_pth_legacy(bytes);
  p.form_ = container.form;
  p.metadata_ = container.metadata;
  PthReader(p, container).read(key);
  return p;
} catch (const DataError& e) {
  throw DataError(cat(path, ": ", e.what()));
}

}  // namespace telltale
