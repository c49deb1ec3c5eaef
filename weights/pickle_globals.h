#pragma once
// The classes and functions that a dictionary of tensors may name. None is ever called.
#include <string_view>

namespace telltale {

inline constexpr std::string_view kOrderedDict = "collections.OrderedDict", kSize = "torch.Size";

/// The allow-list's own copy of a global's name. DataError for any other global.
std::string_view allowed_global(std::string_view module, std::string_view name);
/// Whether PyTorch builds a tensor by it.
bool is_rebuilding_function(std::string_view global);
/// Whether it stands beside tensors, in what is passed over.
bool is_passed_over_global(std::string_view global);

}  // namespace telltale
