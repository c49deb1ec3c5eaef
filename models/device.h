#pragma once
// The device a tool runs on.
#include <string>

#include "base/args.h"
#include "kernels/device/stream.h"

namespace telltale {

/// Opens --device with --threads and says in one log line what it is, and why it is no GPU where "auto" found none.
/// Throws DeviceError with the driver's reason.
Stream open_device(const CommonOptions&);
/// Processor and, when usable, GPU: "Intel(R) Xeon(R) … (2 threads)". For reports.
std::string machine_description();

/// --precision by name: "f32", "f64", "bf16" or "f16". Throws UsageError on any other.
DType precision_of(const std::string& name);
/// The same for work on a stream, with "tf32": f32 whose products a GPU may round to TF32, which the stream then
/// allows. Throws UsageError for tf32 elsewhere.
DType precision_of(const std::string& name, Stream&);

}  // namespace telltale
