#pragma once
// A pickle machine that can only build dictionaries of tensors. A pickle is a program; this one knows the few
// instructions PyTorch's state_dicts need, and calls nothing: what Python would construct it notes down.
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace telltale {

/// What a pickle built: a node of a graph, other nodes named by their index.
struct PickleValue {
  enum class Kind : uint8_t {
    none,
    boolean,      ///< integer 0 or 1
    integer,      ///< of at most 64 bits
    long_number,  ///< text: its bytes, little-endian two's complement
    real,
    text,        ///< UTF-8, or Python 2's bytes
    bytes,       ///< text: Python 3's
    tuple,       ///< items
    list,        ///< items
    dict,        ///< items: key, value, key, value, in order of insertion; a key may come twice
    global,      ///< text: "torch._utils._rebuild_tensor_v2"
    persistent,  ///< items: what names a storage (one tuple)
    object,      ///< items: a global and the tuple of its arguments; not called. None: passed over
  };
  Kind kind = Kind::none;
  int64_t integer = 0;
  double real = 0;
  std::string_view text = {};  ///< into the pickle's bytes, or a constant
  std::vector<uint32_t> items = {};
};

/// A pickle, read. Its bytes must outlive it. Values may contain themselves: whoever walks them bounds the depth.
class Pickle {
 public:
  /// Reads up to STOP; bytes may follow. Time and memory are linear in the bytes read, of which there may be 64 MiB and
  /// 2 000 000 values. Throws DataError naming the byte, unless: protocols 2 to 5; known instructions only (no INST,
  /// OBJ, EXT, no buffers out of band); globals only of the allow-list (OrderedDict, torch's storages,
  /// torch._utils._rebuild_tensor, …_tensor_v2, …_parameter, torch.Size; and, to be passed over: sets, numpy's scalars
  /// and arrays, Namespace, Counter, defaultdict, dtypes, devices); each applied as PyTorch applies it; every length
  /// inside the bytes.
  explicit Pickle(std::span<const unsigned char> bytes);

  using Kind = PickleValue::Kind;
  const PickleValue& root() const { return values_[root_]; }
  const PickleValue& operator[](uint32_t index) const { return values_[index]; }
  const std::vector<PickleValue>& values() const { return values_; }
  /// Bytes from the first to STOP.
  uint64_t size() const { return size_; }
  /// The value of a text key in a dict, the last one if it comes twice; null when absent.
  const PickleValue* find(const PickleValue& dict, std::string_view key) const;

 private:
  friend class PickleMachine;
  std::vector<PickleValue> values_;
  uint32_t root_ = 0;
  uint64_t size_ = 0;
};

}  // namespace telltale
