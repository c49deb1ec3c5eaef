#pragma once
// The device a tool runs on.
#include <string>

#include "base/args.h"
#include "kernels/device/stream.h"

namespace telltale {

/// Opens --device with --threads, of several processes on a machine a GPU each while there are enough, and says in one
/// log line what it is, and why it is no GPU where "auto" found none. Throws DeviceError with the driver's reason.
Stream open_device(const CommonOptions&);
/// Processor and, when usable, GPU: "Intel(R) Xeon(R) … (2 threads)". For reports.
std::string machine_description();

/// "auto" by the name of what it stands for here: bf16 on a processor that multiplies it faster than f32
/// (has_fast_bf16), else f32, on a GPU too; any other name as it is.
std::string resolved_precision(const std::string& name, const Stream&);
/// --precision by name: "f32", "f64", "bf16" or "f16". Throws UsageError on any other.
DType precision_of(const std::string& name);
/// The same for work on a stream, with "tf32": f32 whose products a GPU may round to TF32, which the stream then
/// allows. Throws UsageError for tf32 elsewhere.
DType precision_of(const std::string& name, Stream&);

}  // namespace telltale
