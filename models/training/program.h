#pragma once
// How a task's net is built to train. Training, --check, --batch auto and the residency of images all ask here.
#include "models/training/settings.h"
#include "models/training/task.h"
#include "weights/names.h"

namespace telltale {

/// A graph and how to run it.
struct ProgramPlan {
  PictureGraph net;
  Options options;
  Footprint footprint(Stream& s) const { return Program::footprint(net.graph, s, options); }
};
/// The net as it trains on images of a dataset whose images are stored × stored: precision, loss scale, frozen layers,
/// fusion. Throws UsageError for a precision that the stream has not, and lets the stream use TF32 or not.
ProgramPlan training_program(const Task&, const TrainSettings&, Stream&, int batch, int stored, Tensor resident = {});
/// The same net as it is validated.
ProgramPlan validation_program(const Task&, Stream&, int batch, int stored);

/// Fills a net from a weights file in any form, and says what was taken. Returns the file's hash. Throws DataError
/// naming the file, that it is not `wanted` ("the weights of a resnet18"), and what does not fit. `replaced_layer` and
/// `encoder` are load_params'.
std::string load_initial_weights(const std::string& file, Program&, const std::string& wanted,
                                 const std::string& replaced_layer = "", const std::vector<std::string>& encoder = {});

/// What of a dataset's training and validation splits the task's loaders are told.
LoaderOptions training_batches(const Task&, const TrainSettings&, int stored);
LoaderOptions validation_batches(const Task&, int workers, int stored);
/// The targets of heads, for a loader.
std::vector<Target> targets_of(const std::vector<Head>&);

/// --check: one step of the net on the first training images (at most 8, or the batch if that is smaller), on the
/// stream and on another device, node by node. Prints the verdict and returns the exit code. Writes no run folder.
int check_training(const Task&, const TrainSettings&, Stream&, const Dataset&);

/// --batch auto: the largest batch up to 512 and the training split whose programs fit the memory that is free now, a
/// multiple of 8 when there are 8. Throws DeviceError when not even one image fits.
int fitting_batch(const Task&, const TrainSettings&, Stream&, const Dataset&);

}  // namespace telltale
