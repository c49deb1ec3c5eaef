#pragma once
// Tables for terminals and documents.
#include <string>
#include <vector>

namespace telltale {

/// Cells of text, each row as wide as the header.
struct Table {
  std::vector<std::string> header;
  std::vector<std::vector<std::string>> rows = {};
};
/// As Markdown whose columns are aligned in plain text too.
std::string to_markdown(const Table&);
/// As CSV; cells that hold commas or quotes are quoted.
std::string to_csv(const Table&);

/// A number with so many decimals, "n/a" when it is not finite.
std::string fixed(double value, int decimals);
/// Three significant digits, "n/a" when it is not finite.
std::string short_number(double value);
/// The shortest text with the same bits, empty when it is not finite: for files that are read again.
std::string exact_number(double value);

}  // namespace telltale
