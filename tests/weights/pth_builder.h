#pragma once
// Writes PyTorch's file forms by hand, faults included: what no library would write is what a reader must refuse.
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "weights/pth_storage.h"
#include "weights/zip.h"

namespace telltale {

template <class T>
std::string raw(T number) {
  return std::string(reinterpret_cast<const char*>(&number), sizeof number);
}

inline std::string floats(const std::vector<float>& values) {
  return std::string(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float));
}

// --- pickles ---
inline std::string start() { return "\x80\x02"; }
inline std::string text(const std::string& s) { return "X" + raw(uint32_t(s.size())) + s; }
inline std::string number(int64_t n) { return "\x8a\x08" + raw(n); }
inline std::string numbers(const std::vector<int64_t>& list) {
  std::string s = "(";
  for (int64_t n : list) s += number(n);
  return s + "t";
}
/// A tensor of storage `key`, which has `elements`; `view` is PyTorch 0.3's sixth part of a storage's name.
inline std::string tensor(const std::string& key, int64_t elements, int64_t offset, const std::vector<int64_t>& shape,
                          const std::vector<int64_t>& strides, const std::string& type = "FloatStorage",
                          const std::string& view = "") {
  return "ctorch._utils\n_rebuild_tensor_v2\n((" + text("storage") + "ctorch\n" + type + "\n" + text(key) +
         text("cpu") + number(elements) + view + "tQ" + number(offset) + numbers(shape) + numbers(strides) + "\x89" +
         "ccollections\nOrderedDict\n)RtR";
}
inline std::string parameter(const std::string& tensor) {
  return "ctorch._utils\n_rebuild_parameter\n(" + tensor + "\x88" + "ccollections\nOrderedDict\n)RtR";
}
using Entries = std::vector<std::pair<std::string, std::string>>;
/// A dictionary as a value, and as a whole pickle.
inline std::string value_dict(const Entries& entries) {
  std::string s = "}(";
  for (const auto& [key, value] : entries) s += text(key) + value;
  return s + "u";
}
inline std::string dict(const Entries& entries) { return start() + value_dict(entries) + "."; }

// --- containers ---
/// What to get wrong about an archive's last member, or its end.
struct ZipFaults {
  uint16_t flags = 0, method = 0;
  uint32_t unpacked = 0;  ///< added to the size before compression
  uint32_t shift = 0;     ///< added to where it begins
  bool overlap = false;   ///< it begins where the first does
  int members = -1;       ///< how many the end says there are
};
inline std::string zip(const Entries& members, const ZipFaults& faults = {}) {
  std::string archive, directory;
  for (size_t i = 0; i < members.size(); ++i) {
    const auto& [name, content] = members[i];
    const ZipFaults f = i + 1 == members.size() ? faults : ZipFaults{};
    const auto size = uint32_t(content.size());
    const uint32_t crc = crc32_of({reinterpret_cast<const unsigned char*>(content.data()), content.size()});
    const std::string fields = raw(f.flags) + raw(f.method) + raw(uint32_t(0)) + raw(crc) + raw(size) +
                               raw(size + f.unpacked) + raw(uint16_t(name.size())) + raw(uint16_t(0));
    const uint32_t begin = f.overlap ? 0 : uint32_t(archive.size()) + f.shift;
    archive += raw(uint32_t(0x04034b50)) + raw(uint16_t(20)) + fields + name + content;
    directory += raw(uint32_t(0x02014b50)) + raw(uint16_t(20)) + raw(uint16_t(20)) + fields + std::string(10, '\0') +
                 raw(begin) + name;
  }
  const auto count = uint16_t(faults.members < 0 ? members.size() : size_t(faults.members));
  return archive + directory + raw(uint32_t(0x06054b50)) + raw(uint32_t(0)) + raw(count) + raw(count) +
         raw(uint32_t(directory.size())) + raw(uint32_t(archive.size())) + raw(uint16_t(0));
}

struct LegacyStorage {
  std::string key;
  uint64_t elements;
  std::string bytes;
};
inline std::string legacy(const std::string& pickle, const std::vector<LegacyStorage>& storages) {
  std::string keys = start() + "](", values;
  for (const LegacyStorage& s : storages) {
    keys += text(s.key);
    values += raw(s.elements) + s.bytes;
  }
  return std::string(kLegacyMagic) + start() + "M\xe9\x03." + start() + value_dict({{"little_endian", "\x88"}}) + "." +
         pickle + keys + "e." + values;
}

}  // namespace telltale
