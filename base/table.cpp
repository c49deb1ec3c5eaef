#include "base/table.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace telltale {
namespace {

/// Code points: bytes that continue one are not counted.
size_t width(const std::string& text) {
  return size_t(std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xc0) != 0x80; }));
}

std::string quoted(const std::string& cell) {
  if (cell.find_first_of(",\"\n") == std::string::npos) return cell;
  std::string text = "\"";
  for (char c : cell) text += c == '"' ? std::string("\"\"") : std::string(1, c);
  return text + "\"";
}

}  // namespace

std::string to_markdown(const Table& table) {
  std::vector<size_t> widths;
  for (const std::string& title : table.header) widths.push_back(std::max(width(title), size_t(3)));
  for (const auto& row : table.rows) {
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], width(row[i]));
  }
  std::string text;
  const auto add = [&](const std::vector<std::string>& cells, char fill) {
    for (size_t i = 0; i < cells.size(); ++i) {
      text += "| " + cells[i] + std::string(widths[i] - width(cells[i]), fill) + " ";
    }
    text += "|\n";
  };
  add(table.header, ' ');
  add(std::vector<std::string>(table.header.size()), '-');
  for (const auto& row : table.rows) add(row, ' ');
  return text;
}

std::string to_csv(const Table& table) {
  std::string text;
  const auto add = [&](const std::vector<std::string>& cells) {
    for (size_t i = 0; i < cells.size(); ++i) text += (i ? "," : "") + quoted(cells[i]);
    text += "\n";
  };
  add(table.header);
  for (const auto& row : table.rows) add(row);
  return text;
}

std::string fixed(double value, int decimals) {
  return std::isfinite(value) ? fmt::format("{:.{}f}", value, decimals) : "n/a";
}
std::string short_number(double value) { return std::isfinite(value) ? fmt::format("{:.3g}", value) : "n/a"; }
std::string exact_number(double value) { return std::isfinite(value) ? fmt::format("{}", value) : ""; }

}  // namespace telltale
