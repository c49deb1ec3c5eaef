#pragma once
// Losses that are compiled on the machine that trains, from a file such as those in this folder.
#include <string>

#include "kernels/device/stream.h"

namespace telltale {

/// Compiles a loss file with the system's compiler, registers what it registers and returns that name. Compiled files
/// are kept in `cache` (empty: what loss_cache.h says) under a hash of their preprocessed text.
/// The compiler is $CXX, or the one this program was built with, or c++. Throws UsageError with the compiler's first
/// error, and when the file registers nothing new. The file's code runs in this process: load only what you trust.
std::string load_loss_file(const std::string& path, const std::string& cache = "");

/// A loss file as NVRTC compiles it for an architecture such as "sm_90": a cubin. Needs no GPU. Throws DeviceError
/// where NVRTC is missing, UsageError with its first error.
std::string compile_loss_file_for_device(const std::string& path, const std::string& architecture,
                                         const std::string& cache = "");

/// Enqueues a loaded loss's kernel, compiled on first use, over n rows; `kernel`: an entry point of TT_REGISTER_LOSS,
/// `row`: its argument. For SampleLoss. Only a GPU can check it.
void launch_loss_file(const std::string& loss, Stream&, const std::string& kernel, int64_t n, const void* row);

/// The line of a compiler's output that says what is wrong.
std::string first_error(const std::string& output, const std::string& otherwise);

}  // namespace telltale
