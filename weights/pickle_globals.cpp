#include "weights/pickle_globals.h"

#include <algorithm>
#include <iterator>

#include "base/check.h"

namespace telltale {

namespace {

constexpr std::string_view kFunctions[] = {
    "torch._utils._rebuild_tensor", "torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_parameter",
    // Of tensors that are not read: passed over beside, refused by name among.
    "torch._utils._rebuild_tensor_v3", "torch._utils._rebuild_qtensor", "torch._utils._rebuild_sparse_tensor",
    "torch._utils._rebuild_meta_tensor_no_storage"};
// Named, never called: they say what a storage holds.
constexpr std::string_view kStorages[] = {
    "torch.DoubleStorage", "torch.FloatStorage", "torch.HalfStorage", "torch.BFloat16Storage", "torch.LongStorage",
    "torch.IntStorage", "torch.ShortStorage", "torch.CharStorage", "torch.ByteStorage", "torch.BoolStorage",
    // Of such tensors:
    "torch.ComplexFloatStorage", "torch.ComplexDoubleStorage", "torch.QInt8Storage", "torch.QUInt8Storage",
    "torch.QInt32Storage", "torch.storage.UntypedStorage"};
// What stands beside the tensors in people's checkpoints and torch.load(weights_only=True) would take: built as far as
// it must be to be passed over, and never looked at.
constexpr std::string_view kBeside[] = {"builtins.set",
                                        "__builtin__.set",
                                        "builtins.frozenset",
                                        "__builtin__.frozenset",
                                        "builtins.bytearray",
                                        "__builtin__.bytearray",
                                        "builtins.complex",
                                        "__builtin__.complex",
                                        "builtins.list",
                                        "builtins.dict",
                                        "builtins.int",
                                        "builtins.float",
                                        "__builtin__.list",
                                        "__builtin__.dict",
                                        "__builtin__.int",
                                        "__builtin__.float",
                                        "_codecs.encode",
                                        "argparse.Namespace",
                                        "collections.Counter",
                                        "collections.defaultdict",
                                        "numpy.dtype",
                                        "numpy.ndarray",
                                        "numpy.core.multiarray.scalar",
                                        "numpy._core.multiarray.scalar",
                                        "numpy.core.multiarray._reconstruct",
                                        "numpy._core.multiarray._reconstruct",
                                        "torch.device",
                                        "torch.float64",
                                        "torch.float32",
                                        "torch.float16",
                                        "torch.bfloat16",
                                        "torch.int64",
                                        "torch.int32",
                                        "torch.int16",
                                        "torch.int8",
                                        "torch.uint8",
                                        "torch.bool",
                                        "torch.complex64",
                                        "torch.complex128",
                                        "torch.uint16",
                                        "torch.uint32",
                                        "torch.uint64",
                                        "torch.float8_e4m3fn",
                                        "torch.float8_e5m2",
                                        "torch.per_tensor_affine",
                                        "torch.per_channel_affine",
                                        "torch.serialization._get_layout"};

}  // namespace

/// The allow-list's own copy of a global's name.
std::string_view allowed_global(std::string_view module, std::string_view name) {
  const auto is = [&](std::string_view known) {
    return known.size() == module.size() + 1 + name.size() && known.starts_with(module) &&
           known[module.size()] == '.' && known.ends_with(name);
  };
  for (std::string_view known : {kOrderedDict, kSize})
    if (is(known)) return known;
  for (std::string_view known : kFunctions)
    if (is(known)) return known;
  for (std::string_view known : kStorages)
    if (is(known)) return known;
  for (std::string_view known : kBeside)
    if (is(known)) return known;
  throw DataError(
      cat("it asks for ", module.substr(0, 100), ".", name.substr(0, 100),
          ", which no dictionary of tensors needs and which is not run here; save model.state_dict() alone"));
}

bool is_rebuilding_function(std::string_view global) {
  return std::find(std::begin(kFunctions), std::end(kFunctions), global) != std::end(kFunctions);
}

bool is_passed_over_global(std::string_view global) {
  return std::find(std::begin(kBeside), std::end(kBeside), global) != std::end(kBeside);
}

}  // namespace telltale
