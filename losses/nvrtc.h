#pragma once
// CUDA C++ to machine code at run time. NVRTC is looked for when it is wanted: no program needs it to start.
#include <string>
#include <vector>

namespace telltale {

/// Compiles `source`, called `name` in messages, to a cubin for `architecture` ("sm_90"). Of the standard library a
/// file may include what losses/rows.h includes. Throws DeviceError without NVRTC or when it fails, UsageError with its
/// first error.
std::string nvrtc_compile(const std::string& source, const std::string& name, const std::string& architecture,
                          const std::vector<std::string>& include_folders);

/// Why NVRTC cannot be used here; empty when it can.
std::string nvrtc_unavailable_reason();

}  // namespace telltale
