#pragma once
// Zip archives as PyTorch writes them (PKWARE APPNOTE 6.3): members stored, not compressed, so that each is a part of
// the file.
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/atomic_file.h"

namespace telltale {

/// A member: its name and its bytes, where they lie in the archive.
struct ZipMember {
  std::string_view name;
  std::span<const unsigned char> bytes;
  uint32_t crc32 = 0;  ///< as the directory says; see crc32_of
};

/// Members in the order of the archive's directory, zip64 included. Allocates no more than the directory's own size
/// asks for. Throws DataError with the reason unless: the directory is whole and ends at the end of the file; every
/// member is stored uncompressed, unencrypted and on this disk, lies inside the file before the directory, and has
/// the same name there; no two overlap or share a name. Bytes are not read: see crc32_of.
std::vector<ZipMember> read_zip(std::span<const unsigned char> archive);

/// CRC-32 (IEEE 802.3), as zip has it.
uint32_t crc32_of(std::span<const unsigned char> bytes, uint32_t start = 0);

/// Writes an archive of stored members into a file, one after the other, each aligned to 64 bytes as PyTorch does.
class ZipWriter {
 public:
  /// Sizes and offsets from `narrow_end` on are written as zip64 has them. Only tests need it lower.
  explicit ZipWriter(AtomicFile& file, uint64_t narrow_end = 0xffffffff) : file_(file), narrow_end_(narrow_end) {}
  void add(const std::string& name, std::span<const unsigned char> bytes);
  void add(const std::string& name, std::string_view text);
  /// Writes the directory; nothing may be added after it.
  void finish();

 private:
  void write(std::string_view bytes);
  AtomicFile& file_;
  std::string directory_;
  uint64_t narrow_end_, at_ = 0, members_ = 0;
};

}  // namespace telltale
