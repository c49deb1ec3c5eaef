#pragma once
// The families of nets that Telltale builds, as files hold them.
#include <map>
#include <string>
#include <vector>

#include "weights/family.h"

namespace telltale {

/// Detectors by their names, then generators by their families' names.
const std::vector<NetFamily>& net_families();
/// The one that a detector's metadata names, at the width it names, which need not be a multiple of 1/8; else all.
/// DataError when they are broken, or those of a checkpoint.
std::vector<NetFamily> families_for(const std::map<std::string, std::string>& metadata);
/// Which generator a file holds, for nets.h's generator_net. Throws DataError with the path when it holds none.
NetIdentity identify_generator(const StateDict& dict, const std::string& path);

}  // namespace telltale
