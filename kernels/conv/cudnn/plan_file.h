#pragma once
// Which engine was fastest for which operation, kept between runs.
#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace telltale::cudnn {

/// What must be remembered to make a plan again.
struct Engine {
  int64_t id = -1;
  std::vector<std::pair<int64_t, int64_t>> knobs;  ///< type, value
  bool operator==(const Engine&) const = default;
};
void to_json(nlohmann::json&, const Engine&);
void from_json(const nlohmann::json&, Engine&);

/// A JSON file of the user's cache folder ($XDG_CACHE_HOME/telltale, else ~/.cache/telltale), one for each GPU model
/// and version of cuDNN. What can't be read or written is done without: the plans are then only chosen again.
class PlanFile {
 public:
  explicit PlanFile(const std::string& gpu);
  std::optional<Engine> find(const std::string& operation) const;
  /// Remembers, and writes the file anew with whatever others added meanwhile.
  void add(const std::string& operation, const Engine&);
  /// Empty where the user has no cache folder.
  const std::string& path() const { return path_; }

 private:
  void read();
  std::string path_;
  std::map<std::string, Engine> engines_;
};

}  // namespace telltale::cudnn
