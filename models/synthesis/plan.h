#pragma once
// Which photograph becomes what: decided before anything is painted, so that every run decides the same.
#include <string>
#include <vector>

#include "base/task_pool.h"
#include "data/labels.h"
#include "models/synthesis/settings.h"

namespace telltale {

/// One image of the dataset to be.
struct Row {
  Label label;
  std::string photo;   ///< path of its source
  std::string digest;  ///< SHA-256 of the source's bytes
  Treatment treatment;
};

/// A photograph that could not become an image.
struct Skipped {
  std::string id, path, reason;
};

struct Plan {
  std::vector<Row> rows;         ///< in the order of labels.csv
  std::vector<Skipped> skipped;  ///< could not even be read
  /// SHA-256 over every row's id, source, label, box and split.
  std::string sha256() const;
};

/// The row's photograph as it is before it is painted: scaled to the images' size or cut out, and with its past.
/// DataError when it cannot be used.
Image framed(const Row&, const SynthSettings&, Remarks* remarks = nullptr);
/// Where the row is painted: drawn again as it was for the plan; a table gives boxes only. `photo` as framed() has it.
Grey mask_of(const Row&, const SynthSettings&, const Image& photo);

/// Draws SCENES procedural photographs into `folder`, keeping those already there.
void draw_scenes(const std::string& folder, const SynthSettings&, TaskPool&);

/// Without --boxes: photographs in path order; splits by source hash; within each split, ordered by a second seeded
/// hash, every other one is fake, so half of each split is, whatever the order of names; boxes by law. With --boxes:
/// ids, labels, boxes and order are the table's; counts in --split then cut by row. Rows that no split takes are left
/// out. DataError when a table's id has no photograph.
Plan make_plan(const SynthSettings&, const std::string& photos, TaskPool&);

}  // namespace telltale
