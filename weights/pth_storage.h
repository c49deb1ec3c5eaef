#pragma once
// Where a PyTorch file keeps its numbers: what is common to both containers.
#include <cstdint>
#include <map>
#include <optional>
#include <string_view>
#include <vector>

#include "weights/pickle.h"
#include "weights/safetensors.h"
#include "weights/state_dict.h"

namespace telltale {

/// A storage as a pickle names it: ('storage', type, key, location, elements[, view]).
struct StorageName {
  std::string_view key;
  FileDType dtype = FileDType::f32;
  uint64_t elements = 0;                       ///< of the storage itself, also for a view of it
  uint64_t view_begin = 0, view_elements = 0;  ///< the part that is meant; the whole unless PyTorch < 0.4 wrote a view
};
/// Throws DataError when a persistent value is something else.
StorageName storage_name(const Pickle&, const PickleValue& persistent);

/// A container, opened: its pickle and its storages' bytes by key.
struct PthContainer {
  const char* form;
  Pickle pickle;
  std::map<std::string_view, StateTensor::Bytes> storages;
  Metadata metadata;
};
/// Reads a zip; throws DataError as Pth::open says.
PthContainer open_pth_zip(StateTensor::Bytes file);
/// Reads the form before 1.6: magic number, protocol, system, object and keys as five pickles, then each storage's
/// length and elements.
PthContainer open_pth_legacy(StateTensor::Bytes file);

/// The first bytes of a legacy file: its magic number, pickled; by protocol 2 as here, or by another.
inline constexpr std::string_view kLegacyMagic("\x80\x02\x8a\x0al\xfc\x9c\x46\xf9 j\xa8P\x19.", 15);
/// Whether a file begins so, by any of the protocols 2 to 5.
bool begins_legacy(std::string_view file);

/// The member that carries our metadata in a zip.
inline constexpr std::string_view kMetadataMember = "telltale.json";

}  // namespace telltale
