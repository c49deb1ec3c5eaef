#pragma once
// The dataset's table: id,fake_label,x_min,y_min,x_max,y_max,split and, where several painted, painter.
#include <string>
#include <vector>

#include "data/boxes.h"

namespace telltale {

enum class Split { none, train, validation, test };

/// "", "train", "validation", "test".
std::string name_of(Split split);
/// From its name, `val` too; UsageError otherwise.
Split split_named(const std::string& name);

struct Label {
  std::string id;
  bool fake = false;
  Box box;  ///< pixels, half-open, x = column; all zero when not fake
  Split split = Split::none;
  std::string painter = {};  ///< who painted; empty when not said or not fake
  bool operator==(const Label&) const = default;
};

struct LabelFormat {
  bool paper_axes = false;        ///< the paper's file: its x is the row, so axes are swapped back on reading
  int width = 256, height = 256;  ///< of the images, for refusing boxes outside them
};

/// Reads a table of 6 to 8 columns (split and painter may be missing); an empty split means none. The header line is
/// required, columns may stand in any order, cells in quotes, blank lines anywhere; the text is UTF-8 or, marked as
/// such, UTF-16. DataError "file:line: …" for a missing column, a wrong number of fields, a non-number, a label not 0
/// or 1, a box inverted, empty or outside the image, a box on a real image, an unknown split, a painter on a real
/// image, an id seen before.
std::vector<Label> read_labels(const std::string& path, const LabelFormat& format = {});

/// A text as one cell of a CSV line: in quotes where it holds commas or quotes.
std::string csv_cell(const std::string& text);
/// The reverse of one cell.
std::string from_csv_cell(const std::string& cell);

/// Writes 7 columns with true axes, and `painter` as an eighth if any label has one; whole or not at all.
void write_labels(const std::string& path, const std::vector<Label>& labels);

}  // namespace telltale
