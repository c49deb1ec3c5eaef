#pragma once
// Photographs in, images and masks out: decoding and encoding in threads beside the generator.
#include "base/task_pool.h"
#include "models/synthesis/folder.h"
#include "models/synthesis/inpainter.h"
#include "models/synthesis/plan.h"

namespace telltale {

struct ProduceReport {
  double seconds = 0;            ///< of the whole loop
  double generator_seconds = 0;  ///< of those, in which the host fed the generator or waited for it
  int64_t painted = 0;           ///< fakes, by whomever
  int64_t rows = 0;              ///< this run's share of the plan, with what was there before
  bool stopped = false;          ///< by an interrupt, before the end
};

/// Makes every row, or every one of the shard, that the folder lacks. Several ranks deal what all lack among them; the
/// report, and what was skipped, are then rank 0's to tell of all. Which fakes are painted together is the plan's
/// (groups_of), and a group is painted whole if one of it is missing: what stands beside an image never depends on
/// where an earlier run stopped. Photographs that cannot be used are skipped; a write that fails ends it with a
/// DataError.
ProduceReport produce(const Plan&, const SynthSettings&, DatasetFolder&, Generators&, TaskPool&);

}  // namespace telltale
