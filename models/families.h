#pragma once
// The families of nets that Telltale builds, as files hold them.
#include "weights/family.h"

namespace telltale {

/// Detectors by their names, then generators by their families' names.
const std::vector<NetFamily>& net_families();
/// Which generator a file holds, for nets.h's generator_net. Throws DataError with the path when it holds none.
NetIdentity identify_generator(const StateDict& dict, const std::string& path);

}  // namespace telltale
