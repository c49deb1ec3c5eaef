#pragma once
// Public weights files that people bring (weights/manifest.json), to tell a wrong or damaged download.
#include <string>
#include <vector>

namespace telltale {

/// What the manifest knows of a file; empty or 0 where nobody said.
struct KnownFile {
  std::string file, what;
  uint64_t bytes = 0;
  std::string sha256;  ///< 64 hexadecimal digits, or the first few: torchvision puts 8 into the name
};

/// weights/manifest.json as it was when this program was built.
const std::vector<KnownFile>& known_files();

/// Compares a file with the entry of its name: "" when they agree, when no entry has its name, or when the entry says
/// neither size nor hash; else what differs, in one line. Reads the whole file only when there is a hash to compare.
std::string manifest_warning(const std::string& path, const std::vector<KnownFile>& known = known_files());

}  // namespace telltale
