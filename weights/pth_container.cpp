#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/byte_reader.h"
#include "weights/pth_storage.h"
#include "weights/zip.h"

namespace telltale {

namespace {

using Bytes = StateTensor::Bytes;
using Kind = PickleValue::Kind;

FileDType dtype_of_storage(std::string_view type) {
  constexpr std::pair<std::string_view, FileDType> kTypes[] = {
      {"torch.DoubleStorage", FileDType::f64}, {"torch.FloatStorage", FileDType::f32},
      {"torch.HalfStorage", FileDType::f16},   {"torch.BFloat16Storage", FileDType::bf16},
      {"torch.LongStorage", FileDType::i64},   {"torch.IntStorage", FileDType::i32},
      {"torch.ShortStorage", FileDType::i16},  {"torch.CharStorage", FileDType::i8},
      {"torch.ByteStorage", FileDType::u8},    {"torch.BoolStorage", FileDType::boolean}};
  for (const auto& [name, dtype] : kTypes)
    if (type == name) return dtype;
  throw DataError(cat("a storage of type ", type, " is not known"));
}

uint64_t length_of(const PickleValue& value, const char* what) {
  TT_CHECK(value.kind == Kind::integer && value.integer >= 0, DataError, what, " is no length");
  return uint64_t(value.integer);
}

Metadata parse_metadata(Bytes json) {
  try {
    return nlohmann::json::parse(text_of(json)).get<Metadata>();
  } catch (const nlohmann::json::exception& e) {
    throw DataError(cat(kMetadataMember, ": ", e.what()));
  }
}

/// "archive/" of "archive/data.pkl".
std::string_view folder_of_pickle(const std::vector<ZipMember>& members) {
  constexpr std::string_view kPickle = "/data.pkl";
  std::string_view folder;
  for (const ZipMember& m : members) {
    if (!m.name.ends_with(kPickle) || m.name.find('/') != m.name.size() - kPickle.size()) continue;
    TT_CHECK(folder.empty(), DataError, "two members called data.pkl");
    folder = m.name.substr(0, m.name.size() - kPickle.size() + 1);
  }
  TT_CHECK(!folder.empty(), DataError, "a zip archive, but not torch.save's: no data.pkl in it");
  return folder;
}

void check_crc(const ZipMember& m) {
  TT_CHECK(crc32_of(m.bytes) == m.crc32, DataError, "the checksum of \"", m.name,
           "\" is wrong: the file is damaged (or was saved with PyTorch's checksums turned off)");
}

}  // namespace

bool begins_legacy(std::string_view file) {
  const std::string_view number = kLegacyMagic.substr(2);
  const bool pickle = file.size() > 2 && file[0] == kLegacyMagic[0] && file[1] >= 2 && file[1] <= 5;
  constexpr size_t kFrame = 9;  // protocols 4 and 5 say how much follows
  return pickle && (file.substr(2).starts_with(number) ||
                    (file[2] == '\x95' && file.size() > 2 + kFrame && file.substr(2 + kFrame).starts_with(number)));
}

StorageName storage_name(const Pickle& pickle, const PickleValue& persistent) {
  const PickleValue& id = pickle[persistent.items.at(0)];
  const bool storage = id.kind == Kind::tuple && (id.items.size() == 5 || id.items.size() == 6) &&
                       pickle[id.items[0]].text == "storage" && pickle[id.items[1]].kind == Kind::global &&
                       pickle[id.items[2]].kind == Kind::text;
  TT_CHECK(storage, DataError, "a persistent value that names no storage");
  StorageName name{pickle[id.items[2]].text, dtype_of_storage(pickle[id.items[1]].text)};
  name.elements = name.view_elements = length_of(pickle[id.items[4]], "a storage's number of elements");
  if (id.items.size() == 5 || pickle[id.items[5]].kind == Kind::none) return name;
  const PickleValue& view = pickle[id.items[5]];
  TT_CHECK(view.kind == Kind::tuple && view.items.size() == 3, DataError, "a storage's view is damaged");
  name.view_begin = length_of(pickle[view.items[1]], "a view's offset");
  name.view_elements = length_of(pickle[view.items[2]], "a view's number of elements");
  TT_CHECK(name.view_begin <= name.elements && name.view_elements <= name.elements - name.view_begin, DataError,
           "a view of elements ", name.view_begin, " to ", name.view_begin + name.view_elements, " of a storage of ",
           name.elements);
  return name;
}

PthContainer open_pth_zip(Bytes file) {
  const std::vector<ZipMember> members = read_zip(file);
  const std::string_view folder = folder_of_pickle(members);
  Bytes pickle;
  std::map<std::string_view, Bytes> storages;
  Metadata metadata;
  for (const ZipMember& m : members) {
    TT_CHECK(m.name.starts_with(folder), DataError, "\"", m.name, "\" lies outside \"", folder, "\"");
    const std::string_view name = m.name.substr(folder.size());
    TT_CHECK(name != "constants.pkl" && !name.starts_with("code/"), DataError,
             "a TorchScript program, not weights: load it in PyTorch and torch.save its state_dict()");
    check_crc(m);
    if (name == "data.pkl") pickle = m.bytes;
    if (name == "byteorder") TT_CHECK(text_of(m.bytes) == "little", DataError, "written on a big-endian machine");
    if (name == kMetadataMember) metadata = parse_metadata(m.bytes);
    if (name.starts_with("data/")) storages[name.substr(5)] = m.bytes;
  }
  return {"PyTorch zip", Pickle(pickle), std::move(storages), std::move(metadata)};
}

PthContainer open_pth_legacy(Bytes file) {
  ByteReader in(file);
  const auto next_pickle = [&] {
    Pickle pickle(file.subspan(size_t(in.at())));
    in.take(pickle.size());
    return pickle;
  };
  next_pickle();  // the magic number, by which the file was known
  const Pickle protocol = next_pickle();
  TT_CHECK(protocol.root().kind == Kind::integer && protocol.root().integer == 1001, DataError,
           "of a protocol other than 1001");
  const Pickle system = next_pickle();
  const PickleValue* little = system.find(system.root(), "little_endian");
  TT_CHECK(little && little->kind == Kind::boolean && little->integer, DataError, "written on a big-endian machine");
  PthContainer c{"PyTorch legacy", next_pickle(), {}, {}};
  const Pickle keys = next_pickle();
  TT_CHECK(keys.root().kind == Kind::list, DataError, "its list of storages is none");

  std::map<std::string_view, StorageName> named;  // the stream gives lengths, the pickle the types
  for (const PickleValue& v : c.pickle.values()) {
    if (v.kind != Kind::persistent) continue;
    const StorageName name = storage_name(c.pickle, v);
    const StorageName& first = named.emplace(name.key, name).first->second;
    TT_CHECK(first.dtype == name.dtype && first.elements == name.elements, DataError, "storage \"", name.key,
             "\" is described in two ways");
  }
  for (uint32_t item : keys.root().items) {
    const auto it = named.find(keys[item].text);
    TT_CHECK(it != named.end(), DataError, "storage \"", keys[item].text.substr(0, 100), "\" belongs to no tensor");
    const StorageName& name = it->second;
    const auto elements = in.number<uint64_t>();
    TT_CHECK(elements == name.elements, DataError, "storage \"", name.key, "\" holds ", elements, " elements, not ",
             name.elements);
    TT_CHECK(elements <= in.left() / size_of(name.dtype), DataError, "storage \"", name.key, "\" of ", elements,
             " elements is cut short: ", in.left(), " bytes are left");
    TT_CHECK(c.storages.emplace(name.key, in.take(elements * size_of(name.dtype))).second, DataError, "storage \"",
             name.key, "\" comes twice");
  }
  TT_CHECK(in.left() == 0, DataError, in.left(), " bytes after the last storage");
  return c;
}

}  // namespace telltale
