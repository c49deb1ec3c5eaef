#pragma once
// Weights in whatever form people have them, told apart by content, never by name.
#include <string>
#include <variant>

#include "weights/pth.h"
#include "weights/safetensors.h"

namespace telltale {

/// A memory-mapped file of named tensors: safetensors, or PyTorch's zip or legacy form. Move-only.
class WeightsFile {
 public:
  /// `key`: where in a PyTorch file the tensors are (see Pth::open). Throws DataError with path and reason when it is
  /// none of the three, or damaged.
  static WeightsFile open(const std::string& path, const std::string& key = "");

  const std::string& path() const;
  /// "safetensors", "PyTorch zip" or "PyTorch legacy".
  const char* form() const;
  const Metadata& metadata() const;
  /// Every tensor in file order; this file must outlive it.
  StateDict state_dict() const;
  /// The file as PyTorch's; null when it is safetensors.
  const Pth* pth() const { return std::get_if<Pth>(&file_); }

 private:
  explicit WeightsFile(Pth file) : file_(std::move(file)) {}
  explicit WeightsFile(Safetensors file) : file_(std::move(file)) {}
  std::variant<Pth, Safetensors> file_;
};

/// Writes what the path's ending says: ".pth" or ".pt" as write_pth, ".safetensors" as write_safetensors. Throws
/// UsageError on another ending.
void write_weights(const std::string& path, const StateDict& dict, const Metadata& metadata = {});
/// Throws UsageError as write_weights would.
void check_weights_ending(const std::string& path);

}  // namespace telltale
