#pragma once
// safetensors files (https://huggingface.co/docs/safetensors): u64 little-endian header length, JSON header, values.
#include <map>
#include <span>
#include <string>
#include <vector>

#include "base/mapped_file.h"
#include "weights/state_dict.h"

namespace telltale {

using Metadata = std::map<std::string, std::string>;

/// A memory-mapped safetensors file, fully checked when opened. Move-only.
class Safetensors {
 public:
  /// Throws DataError with path and reason unless: the header is at most 100 000 000 bytes and 1 000 000 values, starts
  /// with '{' and is JSON without duplicate keys; __metadata__ maps strings to strings; every tensor has dtype, shape
  /// and data_offsets and nothing else, a supported dtype, and exactly the bytes its shape asks for; offsets lie in the
  /// file and leave no hole, no overlap and no trailing bytes.
  static Safetensors open(const std::string& path);

  const std::string& path() const { return path_; }
  const Metadata& metadata() const { return metadata_; }
  /// In the order of their offsets.
  const std::vector<TensorInfo>& tensors() const { return tensors_; }
  bool contains(std::string_view name) const;
  /// These throw DataError naming file and tensor when it is absent.
  const TensorInfo& info(std::string_view name) const;
  std::span<const unsigned char> bytes(std::string_view name) const;
  /// Values row-major. f16, bf16 and integers widen exactly; read_f32 rounds F64 and large integers.
  std::vector<float> read_f32(std::string_view name) const;
  std::vector<double> read_f64(std::string_view name) const;
  /// Every tensor; this file must outlive it.
  StateDict state_dict() const;

 private:
  Safetensors() = default;
  size_t index(std::string_view name) const;
  std::string path_;
  Metadata metadata_;
  std::vector<TensorInfo> tensors_;
  std::vector<size_t> offsets_;  ///< into the mapping, one per tensor
  std::map<std::string, size_t, std::less<>> by_name_;
  MappedFile file_;
};

/// Writes all or nothing (base/atomic_file.h), one tensor in memory at a time; values are rounded to each
/// info's dtype. Larger element types come first, so that every tensor is aligned; otherwise order is kept. Throws
/// DataError on duplicate names, on a tensor that yields another number of values than its shape, and when writing
/// fails.
void write_safetensors(const std::string& path, const StateDict& dict, const Metadata& metadata = {});

}  // namespace telltale
