#include "weights/zip.h"

#include <zlib.h>

#include <algorithm>
#include <limits>
#include <optional>
#include <set>

#include "base/byte_reader.h"

namespace telltale {

namespace {

using Bytes = std::span<const unsigned char>;

constexpr uint32_t kLocal = 0x04034b50, kCentral = 0x02014b50, kEnd = 0x06054b50, kEnd64 = 0x06064b50,
                   kLocator64 = 0x07064b50;
constexpr size_t kEndBytes = 22, kLocator64Bytes = 20, kLocalBytes = 30;
constexpr uint16_t kZip64Extra = 0x0001, kAll16 = 0xffff;
constexpr uint32_t kAll32 = 0xffffffff;  // "see the zip64 record"

/// Where the directory lies and how many members it says it lists. Members lie before it.
struct Directory {
  uint64_t offset = 0, bytes = 0, members = 0;
};

/// The end record is the last thing in the file but for its comment, which may hold anything: the true one is that
/// whose comment ends where the file does.
size_t find_end_record(Bytes file) {
  TT_CHECK(file.size() >= kEndBytes, DataError, "a zip archive cut short or damaged: only ", file.size(), " bytes");
  const size_t lowest = file.size() - std::min(file.size(), kEndBytes + kAll16);
  for (size_t at = file.size() - kEndBytes + 1; at-- > lowest;) {
    ByteReader r(file, at);
    if (r.number<uint32_t>() != kEnd) continue;
    const size_t comment = ByteReader(file, at + 20).number<uint16_t>();
    if (at + kEndBytes + comment == file.size()) return at;
  }
  throw DataError("the archive has no directory at its end: the file is cut short or damaged");
}

Directory find_directory(Bytes file) {
  const size_t at = find_end_record(file);
  ByteReader end(file, at + 4);
  const auto disk = end.number<uint16_t>(), first_disk = end.number<uint16_t>();
  const auto members_here = end.number<uint16_t>(), members = end.number<uint16_t>();
  Directory d{0, 0, members};
  d.bytes = end.number<uint32_t>();
  d.offset = end.number<uint32_t>();
  uint64_t directory_end = at;
  if (at >= kLocator64Bytes && ByteReader(file, at - kLocator64Bytes).number<uint32_t>() == kLocator64) {
    ByteReader locator(file, at - kLocator64Bytes + 8);
    const uint64_t at64 = locator.number<uint64_t>();
    ByteReader end64(file, std::min<uint64_t>(at64, file.size()));
    TT_CHECK(at64 < at && end64.number<uint32_t>() == kEnd64, DataError,
             "the zip64 directory is not where it should be");
    end64.take(28);
    d.members = end64.number<uint64_t>();
    d.bytes = end64.number<uint64_t>();
    d.offset = end64.number<uint64_t>();
    directory_end = at64;
  } else {
    TT_CHECK(disk == 0 && first_disk == 0 && members == members_here, DataError, "a part of a split archive");
  }
  TT_CHECK(d.offset <= directory_end && d.bytes == directory_end - d.offset, DataError, "the directory of ", d.bytes,
           " bytes at ", d.offset, " does not end where it should, at ", directory_end);
  return d;
}

/// The values a zip64 extra field gives, in the order in which the record left them open.
void read_zip64(Bytes extra, std::initializer_list<uint64_t*> open) {
  ByteReader r(extra);
  while (r.left() >= 4) {
    const auto id = r.number<uint16_t>();
    const Bytes field = r.take(r.number<uint16_t>());
    if (id != kZip64Extra) continue;
    ByteReader values(field);
    for (uint64_t* value : open)
      if (*value == kAll32) *value = values.number<uint64_t>();
    return;
  }
}

/// A directory entry as read; `begin` is its local header.
struct Entry {
  ZipMember member;
  uint64_t bytes = 0, begin = 0, end = 0;
};

Entry read_entry(ByteReader& r) {
  TT_CHECK(r.number<uint32_t>() == kCentral, DataError, "the directory is damaged");
  Entry e;
  r.take(4);  // versions
  const auto flags = r.number<uint16_t>(), method = r.number<uint16_t>();
  r.take(4);  // time and date
  e.member.crc32 = r.number<uint32_t>();
  uint64_t compressed = r.number<uint32_t>();
  e.bytes = r.number<uint32_t>();
  const auto name = r.number<uint16_t>(), extra = r.number<uint16_t>(), comment = r.number<uint16_t>();
  const auto disk = r.number<uint16_t>();
  r.take(6);  // attributes
  e.begin = r.number<uint32_t>();
  e.member.name = text_of(r.take(name));
  read_zip64(r.take(extra), {&e.bytes, &compressed, &e.begin});
  r.take(comment);
  TT_CHECK(!(flags & 1), DataError, "\"", e.member.name, "\" is encrypted");
  TT_CHECK(
      method == 0, DataError, "\"", e.member.name,
      "\" is compressed, as in TorchScript's programs but never in weights: torch.save the net's state_dict() alone");
  TT_CHECK(compressed == e.bytes, DataError, "\"", e.member.name, "\" has two sizes, ", compressed, " and ", e.bytes);
  TT_CHECK(disk == 0 || disk == kAll16, DataError, "a part of a split archive");
  return e;
}

/// Finds the member's bytes behind its local header.
void locate(Entry& e, Bytes file, uint64_t end) {
  const auto outside = [&](uint64_t begin, uint64_t bytes) { return begin > end || bytes > end - begin; };
  TT_CHECK(!outside(e.begin, kLocalBytes), DataError, "\"", e.member.name, "\" begins at ", e.begin,
           ", outside the archive");
  ByteReader r(file.first(size_t(end)), e.begin);
  TT_CHECK(r.number<uint32_t>() == kLocal, DataError, "\"", e.member.name, "\" has no header at ", e.begin);
  r.take(22);
  const auto name = r.number<uint16_t>(), extra = r.number<uint16_t>();
  TT_CHECK(text_of(r.take(name)) == e.member.name, DataError, "\"", e.member.name,
           "\" has another name in the directory than in its place");
  r.take(extra);
  TT_CHECK(!outside(r.at(), e.bytes), DataError, "\"", e.member.name, "\" of ", e.bytes, " bytes at ", r.at(),
           " is cut short: the archive's members end at ", end);
  e.member.bytes = r.take(e.bytes);
  e.end = r.at();
}

}  // namespace

std::vector<ZipMember> read_zip(Bytes file) {
  const Directory directory = find_directory(file);
  ByteReader r(file.subspan(size_t(directory.offset), size_t(directory.bytes)));
  std::vector<Entry> entries;
  std::set<std::string_view> names;
  while (r.left() > 0) {
    Entry& e = entries.emplace_back(read_entry(r));
    TT_CHECK(names.insert(e.member.name).second, DataError, "two members called \"", e.member.name, "\"");
    locate(e, file, directory.offset);
  }
  TT_CHECK(entries.size() == directory.members, DataError, "the directory lists ", entries.size(), " members and says ",
           directory.members);
  std::vector<ZipMember> members;
  members.reserve(entries.size());
  for (const Entry& e : entries) members.push_back(e.member);
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) { return a.begin < b.begin; });
  for (size_t i = 1; i < entries.size(); ++i)
    TT_CHECK(entries[i - 1].end <= entries[i].begin, DataError, "\"", entries[i].member.name, "\" overlaps \"",
             entries[i - 1].member.name, "\"");
  return members;
}

uint32_t crc32_of(Bytes bytes, uint32_t start) { return uint32_t(::crc32_z(start, bytes.data(), bytes.size())); }

namespace {

template <class... T>
std::string packed(T... numbers) {
  std::string s;
  const auto append = [&](auto n) { s.append(reinterpret_cast<const char*>(&n), sizeof n); };
  (append(numbers), ...);
  return s;
}

// One date for all: the same input gives the same bytes.
constexpr uint16_t kVersion = 20, kVersion64 = 45, kNoTime = 0, kFirstDay = 0x21;  // 1980-01-01
constexpr uint16_t kPaddingExtra = 0x4246, kStored = 0, kNoFlags = 0;
constexpr uint64_t kAlignment = 64;

/// A zip64 extra field.
template <class... T>
std::string zip64_extra(T... values) {
  return packed(kZip64Extra, uint16_t(8 * sizeof...(T)), values...);
}

}  // namespace

void ZipWriter::write(std::string_view bytes) {
  file_.write(bytes);
  at_ += bytes.size();
}

void ZipWriter::add(const std::string& name, Bytes bytes) {
  const uint64_t begin = at_, size = bytes.size();
  const bool wide = begin >= narrow_end_ || size >= narrow_end_;
  const std::string local_extra = wide ? zip64_extra(size, size) : "",
                    extra = wide ? zip64_extra(size, size, begin) : "";
  const uint64_t values = begin + kLocalBytes + name.size() + local_extra.size() + 4;
  const auto padding = uint16_t((kAlignment - values % kAlignment) % kAlignment);
  const uint32_t size32 = wide ? kAll32 : uint32_t(size), begin32 = wide ? kAll32 : uint32_t(begin);
  const uint16_t version = wide ? kVersion64 : kVersion;
  const std::string fields =
      packed(version, kNoFlags, kStored, kNoTime, kFirstDay, crc32_of(bytes), size32, size32, uint16_t(name.size()));
  write(packed(kLocal) + fields + packed(uint16_t(local_extra.size() + padding + 4)) + name + local_extra +
        packed(kPaddingExtra, padding) + std::string(padding, '\0'));
  write(text_of(bytes));
  directory_ += packed(kCentral, version) + fields +
                packed(uint16_t(extra.size()), uint16_t(0), uint16_t(0), uint16_t(0), uint32_t(0), begin32) + name +
                extra;
  ++members_;
}

void ZipWriter::add(const std::string& name, std::string_view text) {
  add(name, Bytes(reinterpret_cast<const unsigned char*>(text.data()), text.size()));
}

void ZipWriter::finish() {
  const uint64_t begin = at_, size = directory_.size();
  write(directory_);
  const bool wide = begin >= narrow_end_ || size >= narrow_end_ || members_ >= std::min<uint64_t>(narrow_end_, kAll16);
  if (wide) {
    const uint64_t record = at_, record_bytes = 44;  // of what follows in the record
    const uint32_t disk = 0, disks = 1;
    write(packed(kEnd64, record_bytes, kVersion64, kVersion64, disk, disk, members_, members_, size, begin));
    write(packed(kLocator64, disk, record, disks));
  }
  const uint16_t members16 = wide ? kAll16 : uint16_t(members_);
  const uint32_t size32 = wide ? kAll32 : uint32_t(size), begin32 = wide ? kAll32 : uint32_t(begin);
  write(packed(kEnd, uint16_t(0), uint16_t(0), members16, members16, size32, begin32, uint16_t(0)));
}

}  // namespace telltale
