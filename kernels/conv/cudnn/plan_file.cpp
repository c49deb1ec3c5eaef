#if TT_CUDNN
#include "kernels/conv/cudnn/plan_file.h"

#include <cctype>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "base/atomic_file.h"
#include "base/check.h"
#include "kernels/device/cudnn_graph.h"

namespace telltale::cudnn {
namespace {

std::string cache_folder() {
  const char *xdg = std::getenv("XDG_CACHE_HOME"), *home = std::getenv("HOME");
  if (xdg && *xdg) return cat(xdg, "/telltale");
  return home && *home ? cat(home, "/.cache/telltale") : "";
}

}  // namespace

void to_json(nlohmann::json& j, const Engine& e) { j = {{"engine", e.id}, {"knobs", e.knobs}}; }
void from_json(const nlohmann::json& j, Engine& e) {
  j.at("engine").get_to(e.id);
  j.at("knobs").get_to(e.knobs);
}

PlanFile::PlanFile(const std::string& gpu) {
  const std::string folder = cache_folder();
  if (folder.empty()) return;
  std::string name = cat("cudnn-", library().version(), "-", gpu);
  for (char& c : name) {
    if (!std::isalnum(static_cast<unsigned char>(c)) && c != '-') c = '_';
  }
  path_ = cat(folder, "/", name, ".json");
  read();
}

void PlanFile::read() {
  std::ifstream in(path_);
  if (!in) return;
  try {
    engines_.merge(nlohmann::json::parse(in).get<std::map<std::string, Engine>>());
  } catch (const nlohmann::json::exception&) {
  }
}

std::optional<Engine> PlanFile::find(const std::string& operation) const {
  const auto at = engines_.find(operation);
  if (at == engines_.end()) return std::nullopt;
  return at->second;
}

void PlanFile::add(const std::string& operation, const Engine& engine) {
  if (!path_.empty()) read();
  engines_[operation] = engine;
  if (path_.empty()) return;
  try {
    std::error_code ignored;
    std::filesystem::create_directories(std::filesystem::path(path_).parent_path(), ignored);
    write_atomically(path_, nlohmann::json(engines_).dump(1) + "\n");
  } catch (const DataError&) {
    path_.clear();  // a read-only or full disk: say nothing, try no more
  }
}

}  // namespace telltale::cudnn
#endif
