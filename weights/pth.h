#pragma once
// PyTorch's files: torch.save's zip archives (1.6 and later) and its older stream of pickles and storages.
#include <string>
#include <string_view>
#include <vector>

#include "base/mapped_file.h"
#include "weights/safetensors.h"
#include "weights/state_dict.h"

namespace telltale {

/// A memory-mapped PyTorch file holding a dictionary of tensors; nothing in it is ever executed (weights/pickle.h).
class Pth {
 public:
  /// Whether a file begins as either form does.
  static bool begins(std::span<const unsigned char> file);
  /// Finds the dictionary: the file's own, or one inside it: under `key` ("a.b" for two steps) where given, else under
  /// state_dict, model_state_dict, model, params, netG, generator or G, else the only one that holds tensors. Throws
  /// DataError with path and reason unless: the container is whole (a zip's checksums hold) and little-endian; its
  /// pickle is one that weights/pickle.h reads; names are unique texts; every tensor's elements, by its offset and
  /// strides, lie inside its storage, and all together are at most 16 times the file (+ 16 MiB), however often they
  /// share a storage or repeat an element. Entries that are no tensors are left out: see skipped().
  static Pth open(const std::string& path, const std::string& key = "");

  const std::string& path() const { return path_; }
  /// "PyTorch zip" or "PyTorch legacy".
  const char* form() const { return form_; }
  /// What write_pth was given; empty for other people's files.
  const Metadata& metadata() const { return metadata_; }
  /// Where the dictionary was found: "" for the file's own, "state_dict", …
  const std::string& found_under() const { return found_under_; }
  /// Where other dictionaries of tensors stand beside it, as keys for open(): up to eight.
  const std::vector<std::string>& others() const { return others_; }
  /// Names in the dictionary whose values are no tensors.
  const std::vector<std::string>& skipped() const { return skipped_; }
  /// Every tensor, in the dictionary's order; this file must outlive it.
  const StateDict& state_dict() const { return tensors_; }

 private:
  friend class PthReader;
  Pth() = default;
  std::string path_, found_under_;
  const char* form_ = "";
  Metadata metadata_;
  std::vector<std::string> skipped_, others_;
  StateDict tensors_;
  MappedFile file_;
};

/// Writes what torch.load(weights_only=True) and load_state_dict take: a zip with an OrderedDict of contiguous tensors
/// under their names, in order, and the metadata beside it. All or nothing, one tensor in memory at a time; the same
/// input gives the same bytes. Throws DataError on duplicate names and when writing fails.
void write_pth(const std::string& path, const StateDict& dict, const Metadata& metadata = {});

}  // namespace telltale
