#include "models/shipped.h"

#include <filesystem>

#include "base/check.h"

namespace telltale {

std::string shipped_weights(const std::string& name, const std::string& option) {
  namespace fs = std::filesystem;
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error);  // where it lies, whatever links led to it
  std::string looked;
  for (fs::path folder = program.parent_path(); !folder.empty(); folder = folder.parent_path()) {
    for (const char* place : {"weights", "share/telltale/weights"}) {
      const fs::path file = folder / place / name;
      if (fs::is_regular_file(file, error)) return file.string();
      looked += (looked.empty() ? "" : ", ") + file.parent_path().string();
    }
    if (folder == folder.root_path()) break;
  }
  throw UsageError(cat("no ", name, " in any of ", looked, ": give ", option));
}

}  // namespace telltale
