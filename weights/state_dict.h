#pragma once
// Named tensors as a file holds them: what every reader returns, every writer takes, and every mapping works on.
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace telltale {

/// Element types a weights file may hold.
enum class FileDType : uint8_t { f64, f32, f16, bf16, i64, i32, i16, i8, u8, boolean };
inline constexpr FileDType kFileDTypes[] = {FileDType::f64, FileDType::f32,    FileDType::f16, FileDType::bf16,
                                            FileDType::i64, FileDType::i32,    FileDType::i16, FileDType::i8,
                                            FileDType::u8,  FileDType::boolean};
/// Bytes of one element.
size_t size_of(FileDType t);
/// "F32": safetensors' spelling.
const char* name_of(FileDType t);

/// A tensor's name, element type and row-major shape; [] is a scalar.
struct TensorInfo {
  std::string name;
  FileDType dtype = FileDType::f32;
  std::vector<int64_t> shape;
  int64_t numel() const;
};
/// "[64,3,7,7]"
std::string to_string(const std::vector<int64_t>& shape);

/// A tensor that is read when asked for, so that a large file never stands in memory whole.
struct StateTensor {
  TensorInfo info;
  std::function<std::vector<double>()> read;  ///< every value, exactly (i64 within 2^53), row-major
  /// The same as little-endian elements of info.dtype, bit for bit: where they lie, or gathered into `scratch`. Empty
  /// where no file holds them.
  using Bytes = std::span<const unsigned char>;
  std::function<Bytes(std::vector<unsigned char>& scratch)> stored = nullptr;
};
/// Tensors in file order. `read` may look into the file they came from, which must outlive them.
using StateDict = std::vector<StateTensor>;

/// A tensor's elements as a file would hold them: `stored`, or else what `read` gives, rounded into `scratch`. Throws
/// DataError when that is another number of values than its shape asks for.
StateTensor::Bytes stored_bytes(const StateTensor&, std::vector<unsigned char>& scratch);

/// How many of its values are infinite or no numbers.
int64_t count_not_finite(const StateTensor&);

/// By name; null when absent.
const StateTensor* find(const StateDict& dict, std::string_view name);
/// By name; throws DataError naming what is missing.
const StateTensor& require(const StateDict& dict, std::string_view name);

/// A tensor already in memory.
StateTensor state_tensor(std::string name, std::vector<int64_t> shape, std::vector<double> values,
                         FileDType dtype = FileDType::f32);

/// What wrappers put in front of every name, in whatever order: torch.compile's "_orig_mod.", Lightning's "model.",
/// DataParallel's "module."; empty where they did not.
std::string wrapper_prefix(const StateDict& dict);
/// The same tensors without it.
StateDict without_wrapper_prefix(StateDict dict);

}  // namespace telltale
