#pragma once
// Where compiled loss files are kept, and which of them may be trusted: their code runs in this process.
#include <string>

namespace telltale {

/// A folder to keep compiled files in, which nobody else can write: `given`, or $XDG_CACHE_HOME/telltale, or
/// ~/.cache/telltale. Where there is neither home nor cache, or that folder is another user's or writable by others, a
/// new one with a name of its own, removed when the process ends. DataError when none can be made.
std::string loss_cache_folder(const std::string& given);

/// Appends a shared object's SHA-256 to it: what is cut short later, or is somebody else's, shows.
void seal(const std::string& object);
/// Whether a sealed object is whole, belongs to this user, and can be written by nobody else.
bool is_sealed(const std::string& object);

}  // namespace telltale
