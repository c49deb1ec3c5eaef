#include "tools/convert/manifest.h"

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/check.h"
#include "base/sha256.h"
#include "manifest_json.h"

namespace telltale {

const std::vector<KnownFile>& known_files() {
  static const std::vector<KnownFile> files = [] {
    std::vector<KnownFile> list;
    const nlohmann::json manifest = nlohmann::json::parse(kManifestJson);
    for (const auto& entry : manifest.at("files")) {
      const auto number = entry.find("bytes"), hash = entry.find("sha256");
      list.push_back({entry.at("file"), entry.at("what"), number->is_number() ? number->get<uint64_t>() : 0,
                      hash->is_string() ? hash->get<std::string>() : ""});
    }
    return list;
  }();
  return files;
}

std::string manifest_warning(const std::string& path, const std::vector<KnownFile>& known) {
  const std::filesystem::path file(path);
  const auto it =
      std::find_if(known.begin(), known.end(), [&](const KnownFile& k) { return k.file == file.filename(); });
  if (it == known.end()) return "";
  const uint64_t bytes = std::filesystem::file_size(file);
  if (it->bytes && bytes != it->bytes)
    return cat(path, " has ", bytes, " bytes, ", it->what, " has ", it->bytes, ": not that file, or damaged");
  if (it->sha256.empty()) return "";
  const std::string hash = sha256_file(path);
  if (hash.starts_with(it->sha256)) return "";
  return cat(path, " has SHA-256 ", hash, ", ", it->what, " has ", it->sha256, it->sha256.size() < 64 ? "…" : "",
             ": not that file, or damaged");
}

}  // namespace telltale
