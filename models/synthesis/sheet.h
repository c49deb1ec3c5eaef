#pragma once
// A look at what was painted.
#include <string>
#include <vector>

#include "models/synthesis/folder.h"
#include "models/synthesis/plan.h"

namespace telltale {

/// Writes the first fakes of a finished dataset, two a line, as `path` (.png, .jpg or .jpeg): photograph, photograph
/// with its hole, painted. From the files in the folder, so a run that found nothing to do writes the same.
void write_sheet(const std::string& path, const std::vector<Row>& rows, const SynthSettings&, const DatasetFolder&);

/// A sheet that exists may be replaced only by the dataset in `out` that it shows, whose `.sheets` lists what was
/// written: else UsageError "--sheet PATH: …". An empty path is none.
void check_sheet(const std::string& path, const std::string& out);

}  // namespace telltale
