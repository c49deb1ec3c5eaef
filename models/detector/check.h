#pragma once
// What `train` can do besides training: check a device, find the batch that fits.
#include "data/dataset.h"
#include "kernels/device/stream.h"
#include "models/detector/settings.h"

namespace telltale {

/// --check: one step of the recipe's net on the first images of the training split (at most 8, or the batch if that is
/// smaller), on the stream and on another device, node by node. Prints the verdict and returns the exit code. Writes no
/// run folder.
int check_training(const TrainSettings&, Stream&, const Dataset&);

/// --batch auto: the largest batch up to 512 and the training split whose programs fit the memory that is free now, a
/// multiple of 8 when there are 8. Throws DeviceError when not even one image fits.
int fitting_batch(const TrainSettings&, Stream&, const Dataset&);

}  // namespace telltale
