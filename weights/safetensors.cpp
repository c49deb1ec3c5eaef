#include "weights/safetensors.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "base/atomic_file.h"
#include "base/byte_reader.h"
#include "base/json_text.h"
#include "weights/elements.h"

namespace telltale {

namespace {

using Json = nlohmann::json;
constexpr uint64_t kMaxHeader = 100'000'000;
constexpr size_t kMaxValues = 1'000'000;  // 100 000 tensors: a hundred bytes of memory stand behind each value

/// A checked tensor and the part of the value buffer it takes.
struct Extent {
  TensorInfo info;
  uint64_t begin, end;
};

/// Looks through JSON before it is parsed: nlohmann's own parser keeps one of two equal keys in silence, and its
/// callbacks look at all an object's keys whenever one of its values ends.
class HeaderGuard : public nlohmann::json_sax<Json> {
 public:
  bool null() override { return count(); }
  bool boolean(bool) override { return count(); }
  bool number_integer(number_integer_t) override { return count(); }
  bool number_unsigned(number_unsigned_t) override { return count(); }
  bool number_float(number_float_t, const string_t&) override { return count(); }
  bool string(string_t&) override { return count(); }
  bool binary(binary_t&) override { return count(); }
  bool start_object(size_t) override {
    keys_.emplace_back();
    return enter();
  }
  bool key(string_t& name) override {
    TT_CHECK(keys_.back().insert(name).second, DataError, "\"", name, "\" is given twice");
    return count();
  }
  bool end_object() override {
    keys_.pop_back();
    return leave();
  }
  bool start_array(size_t) override { return enter(); }
  bool end_array() override { return leave(); }
  bool parse_error(size_t, const std::string&, const nlohmann::detail::exception&) override { return false; }

 private:
  bool count() {
    TT_CHECK(++values_ <= kMaxValues, DataError, "the header holds more than ", kMaxValues, " values");
    return true;
  }
  bool enter() {
    TT_CHECK(++depth_ <= 3, DataError, "the header is nested too deeply");
    return count();
  }
  bool leave() {
    --depth_;
    return true;
  }
  std::vector<std::set<std::string>> keys_;
  size_t values_ = 0;
  int depth_ = 0;
};

Json parse_header(std::string_view text) {
  HeaderGuard guard;
  Json::sax_parse(text, &guard);
  try {
    return Json::parse(text);
  } catch (const Json::exception& e) {
    throw DataError(cat("the header is not JSON: ", e.what()));
  }
}

Metadata parse_metadata(const Json& value) {
  TT_CHECK(value.is_object(), DataError, "__metadata__ is not an object");
  Metadata metadata;
  for (const auto& [key, text] : value.items()) {
    TT_CHECK(text.is_string(), DataError, "__metadata__ \"", key, "\" is not a string");
    metadata[key] = text.get<std::string>();
  }
  return metadata;
}

FileDType parse_dtype(const Json& value, const std::string& name) {
  TT_CHECK(value.is_string(), DataError, "\"", name, "\": dtype is not a string");
  const std::string text = value.get<std::string>();
  for (FileDType t : kFileDTypes)
    if (text == name_of(t)) return t;
  throw DataError(cat("\"", name, "\": dtype ", text, " is not supported"));
}

uint64_t parse_size(const Json& value, const std::string& name, const char* what) {
  const bool fits = value.is_number_unsigned() && value.get<uint64_t>() <= uint64_t(INT64_MAX);
  TT_CHECK(fits, DataError, "\"", name, "\": ", what, " holds something else than whole numbers from 0 to 2^63 - 1");
  return value.get<uint64_t>();
}

Extent parse_tensor(const std::string& name, const Json& value) {
  TT_CHECK(value.is_object(), DataError, "\"", name, "\" is not an object");
  for (const char* key : {"dtype", "shape", "data_offsets"})
    TT_CHECK(value.contains(key), DataError, "\"", name, "\" has no ", key);
  TT_CHECK(value.size() == 3, DataError, "\"", name, "\" has more than dtype, shape and data_offsets");
  Extent e{{name, parse_dtype(value["dtype"], name), {}}, 0, 0};
  TT_CHECK(value["shape"].is_array(), DataError, "\"", name, "\": shape is not an array");
  int64_t bytes = int64_t(size_of(e.info.dtype));
  for (const Json& d : value["shape"]) {
    e.info.shape.push_back(int64_t(parse_size(d, name, "shape")));
    TT_CHECK(!__builtin_mul_overflow(bytes, e.info.shape.back(), &bytes), DataError, "\"", name,
             "\": the size of shape ", value["shape"].dump(), " overflows");
  }
  const Json& offsets = value["data_offsets"];
  TT_CHECK(offsets.is_array() && offsets.size() == 2, DataError, "\"", name, "\": data_offsets is not [begin, end]");
  e.begin = parse_size(offsets[0], name, "data_offsets");
  e.end = parse_size(offsets[1], name, "data_offsets");
  TT_CHECK(e.begin <= e.end, DataError, "\"", name, "\": data_offsets run backwards");
  TT_CHECK(e.end - e.begin == uint64_t(bytes), DataError, "\"", name, "\": ", name_of(e.info.dtype),
           to_string(e.info.shape), " needs ", bytes, " bytes, data_offsets give ", e.end - e.begin);
  return e;
}

/// Orders by offset and refuses holes, overlaps, and an end other than the file's.
void check_layout(std::vector<Extent>& extents, uint64_t buffer_bytes) {
  std::sort(extents.begin(), extents.end(), [](const Extent& a, const Extent& b) {
    return std::tie(a.begin, a.end, a.info.name) < std::tie(b.begin, b.end, b.info.name);
  });
  uint64_t next = 0;
  for (const Extent& e : extents) {
    TT_CHECK(e.end <= buffer_bytes, DataError, "\"", e.info.name, "\" ends at byte ", e.end, " of ", buffer_bytes,
             ": the file is cut short");
    TT_CHECK(e.begin >= next, DataError, "\"", e.info.name, "\" overlaps the tensor before it");
    TT_CHECK(e.begin == next, DataError, "a hole of ", e.begin - next, " bytes before \"", e.info.name, "\"");
    next = e.end;
  }
  TT_CHECK(next == buffer_bytes, DataError, buffer_bytes - next, " bytes after the last tensor belong to none");
}

}  // namespace

Safetensors Safetensors::open(const std::string& path) try {
  Safetensors s;
  s.path_ = path;
  s.file_ = MappedFile(path);
  const StateTensor::Bytes bytes = s.file_.bytes();
  TT_CHECK(bytes.size() >= 8, DataError, "not a safetensors file: only ", bytes.size(), " bytes");
  ByteReader reader(bytes);
  const auto header_bytes = reader.number<uint64_t>();
  TT_CHECK(header_bytes <= kMaxHeader, DataError, "not a safetensors file: a header of ", header_bytes,
           " bytes (at most ", kMaxHeader, ")");
  TT_CHECK(header_bytes <= reader.left(), DataError, "the header of ", header_bytes, " bytes is cut short");
  const std::string_view header = text_of(reader.take(header_bytes));
  TT_CHECK(header.starts_with('{'), DataError, "not a safetensors file: the header does not start with '{'");
  // nlohmann takes a zero for the end of its input: what stands behind it would go unseen.
  TT_CHECK(header.find('\0') == header.npos, DataError, "the header is not JSON: it holds a zero byte");
  const Json json = parse_header(header);

  std::vector<Extent> extents;
  for (const auto& [name, value] : json.items()) {
    if (name == "__metadata__") {
      s.metadata_ = parse_metadata(value);
    } else {
      extents.push_back(parse_tensor(name, value));
    }
  }
  check_layout(extents, reader.left());
  for (Extent& e : extents) {
    s.by_name_[e.info.name] = s.tensors_.size();
    s.offsets_.push_back(8 + header_bytes + e.begin);
    s.tensors_.push_back(std::move(e.info));
  }
  return s;
} catch (const DataError& e) {
  throw DataError(cat(path, ": ", e.what()));
}

size_t Safetensors::index(std::string_view name) const {
  const auto it = by_name_.find(name);
  TT_CHECK(it != by_name_.end(), DataError, path_, ": no tensor called \"", name, "\"");
  return it->second;
}

bool Safetensors::contains(std::string_view name) const { return by_name_.find(name) != by_name_.end(); }

const TensorInfo& Safetensors::info(std::string_view name) const { return tensors_[index(name)]; }

std::span<const unsigned char> Safetensors::bytes(std::string_view name) const {
  const size_t i = index(name);
  return file_.bytes().subspan(offsets_[i], size_t(tensors_[i].numel()) * size_of(tensors_[i].dtype));
}

std::vector<float> Safetensors::read_f32(std::string_view name) const {
  return widened<float>(info(name).dtype, bytes(name));
}
std::vector<double> Safetensors::read_f64(std::string_view name) const {
  return widened<double>(info(name).dtype, bytes(name));
}

StateDict Safetensors::state_dict() const {
  StateDict dict;
  for (const TensorInfo& t : tensors_) {
    const std::span<const unsigned char> values = bytes(t.name);
    dict.push_back({t, [values, dtype = t.dtype] { return widened<double>(dtype, values); },
                    [values](std::vector<unsigned char>&) { return values; }});
  }
  return dict;
}

namespace {

/// The header with its length in front, padded so that the values start on a multiple of 8.
std::string make_header(const std::vector<const StateTensor*>& order, const Metadata& metadata) {
  nlohmann::ordered_json json = nlohmann::ordered_json::object();
  if (!metadata.empty()) json["__metadata__"] = metadata;
  std::set<std::string_view> names = {"__metadata__"};
  uint64_t begin = 0;
  for (const StateTensor* t : order) {
    TT_CHECK(names.insert(t->info.name).second, DataError, "two tensors called \"", t->info.name, "\"");
    const uint64_t end = begin + uint64_t(t->info.numel()) * size_of(t->info.dtype);
    json[t->info.name] = {{"dtype", name_of(t->info.dtype)}, {"shape", t->info.shape}, {"data_offsets", {begin, end}}};
    begin = end;
  }
  std::string text = json_text(json);
  text.append((8 - text.size() % 8) % 8, ' ');
  TT_CHECK(text.size() <= kMaxHeader, DataError, "a header of ", text.size(), " bytes is too long");
  const uint64_t length = text.size();
  std::string prefix(8, '\0');
  std::memcpy(prefix.data(), &length, 8);
  return prefix + text;
}

}  // namespace

void write_safetensors(const std::string& path, const StateDict& dict, const Metadata& metadata) {
  std::vector<const StateTensor*> order;
  for (const StateTensor& t : dict) order.push_back(&t);
  std::stable_sort(order.begin(), order.end(), [](const StateTensor* a, const StateTensor* b) {
    return size_of(a->info.dtype) > size_of(b->info.dtype);
  });
  AtomicFile file(path);
  file.write(make_header(order, metadata));
  std::vector<unsigned char> scratch;
  for (const StateTensor* t : order) {
    const StateTensor::Bytes bytes = stored_bytes(*t, scratch);
    file.write(bytes.data(), bytes.size());
  }
  file.commit();
}

}  // namespace telltale
