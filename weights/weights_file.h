#pragma once
// Weights in whatever form people have them, told apart by content, never by name.
#include <string>
#include <variant>

#include "weights/pth.h"
#include "weights/safetensors.h"

namespace telltale {

/// A memory-mapped file of named tensors: safetensors, or PyTorch's zip or legacy form; or several such files by their
/// index (model.safetensors.index.json). Move-only.
class WeightsFile {
 public:
  /// `key`: where in a PyTorch file the tensors are (see Pth::open). Throws DataError with path and reason when it is
  /// none of these, or damaged. Says in the log where else in it tensors
  /// are: averaged weights, say.
  static WeightsFile open(const std::string& path, const std::string& key = "");

  const std::string& path() const { return path_; }
  /// "safetensors", "PyTorch zip", "PyTorch legacy" or "index of shards".
  const char* form() const;
  const Metadata& metadata() const;
  /// Every tensor in file order; this file must outlive it.
  StateDict state_dict() const;
  /// The file as PyTorch's; null when it is none.
  const Pth* pth() const { return std::get_if<Pth>(&file_); }

 private:
  using Shards = std::vector<WeightsFile>;
  WeightsFile(const std::string& path, std::variant<Pth, Safetensors, Shards> file)
      : path_(path), file_(std::move(file)) {}
  static Shards open_shards(const std::string& path, std::string_view index);
  std::string path_;
  std::variant<Pth, Safetensors, Shards> file_;
  std::vector<std::string> names_ = {};  ///< of a shard: the tensors that the index takes from it
};

/// Writes what the path's ending says: ".pth" or ".pt" as write_pth, ".safetensors" as write_safetensors. Throws
/// UsageError on another ending.
void write_weights(const std::string& path, const StateDict& dict, const Metadata& metadata = {});
/// Throws UsageError as write_weights would.
void check_weights_ending(const std::string& path);

}  // namespace telltale
