#include "models/shipped.h"

#include <filesystem>

#include "base/check.h"

namespace telltale {

std::string shipped_weights(const std::string& name, const std::string& option) {
  namespace fs = std::filesystem;
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error);
  for (fs::path folder = program.parent_path(); !folder.empty() && folder != folder.root_path();
       folder = folder.parent_path()) {
    const fs::path file = folder / "weights" / name;
    if (fs::is_regular_file(file, error)) return file.string();
  }
  throw UsageError(
      cat("no weights/", name, " in any folder above ", program.parent_path().string(), ": give ", option));
}

}  // namespace telltale
