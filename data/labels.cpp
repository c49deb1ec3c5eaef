#include "data/labels.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <string_view>
#include <unordered_set>

#include "base/atomic_file.h"
#include "base/check.h"
#include "data/codec.h"

namespace telltale {

namespace {

constexpr std::array<std::string_view, 8> kColumns{"id",    "fake_label", "x_min", "y_min",
                                                   "x_max", "y_max",      "split", "painter"};

// One line's cells, and the line taken off `text`. A line ends in LF, CR LF or, as old spreadsheets have it, CR. A cell
// in quotes may hold commas, doubled quotes and line ends. False where a quote is not closed.
bool take_line(std::string_view& text, std::vector<std::string>& cells) {
  cells.assign(1, {});
  bool quoted = false;
  size_t at = 0;
  for (; at < text.size(); ++at) {
    const char c = text[at];
    if (quoted && c == '"' && at + 1 < text.size() && text[at + 1] == '"') {
      cells.back() += c;
      ++at;
    } else if (c == '"' && (quoted || cells.back().empty())) {
      quoted = !quoted;
    } else if (c == ',' && !quoted) {
      cells.emplace_back();
    } else if ((c == '\n' || c == '\r') && !quoted) {
      break;
    } else {
      cells.back() += c;
    }
  }
  if (text.substr(at).starts_with("\r\n")) ++at;
  text.remove_prefix(std::min(at + 1, text.size()));
  return !quoted;
}

bool is_blank(const std::vector<std::string>& cells) {
  return std::all_of(cells.begin(), cells.end(), [](const std::string& c) { return c.empty(); });
}

void append_utf8(std::string& to, uint32_t c) {
  if (c < 0x80) {
    to += char(c);
    return;
  }
  const int more = c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
  constexpr std::array<uint32_t, 4> kLead{0, 0xc0, 0xe0, 0xf0};
  to += char(kLead[size_t(more)] | c >> (6 * more));
  for (int i = more - 1; i >= 0; --i) to += char(0x80 | (c >> (6 * i) & 0x3f));
}

/// Text as UTF-8 without a byte order mark: spreadsheets write UTF-16, too, and mark it. A lone half of a pair becomes
/// U+FFFD.
std::string as_utf8(std::string_view text) {
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
  const bool little = text.starts_with("\xff\xfe"), big = text.starts_with("\xfe\xff");
  if (!little && !big) return std::string(text);
  const auto unit = [&](size_t at) {
    const auto byte = [&](size_t i) { return uint32_t(static_cast<unsigned char>(text[i])); };
    return little ? byte(at) | byte(at + 1) << 8 : byte(at) << 8 | byte(at + 1);
  };
  std::string out;
  for (size_t at = 2; at + 1 < text.size(); at += 2) {
    uint32_t c = unit(at);
    if (c >= 0xd800 && c < 0xdc00 && at + 3 < text.size() && (unit(at + 2) & 0xfc00) == 0xdc00) {
      c = 0x10000 + ((c & 0x3ff) << 10) + (unit(at + 2) & 0x3ff);
      at += 2;
    } else if (c >= 0xd800 && c < 0xe000) {
      c = 0xfffd;
    }
    append_utf8(out, c);
  }
  if (text.size() % 2 != 0) append_utf8(out, 0xfffd);  // cut within a character: it must not go unseen
  return out;
}

// An id becomes a file name: it must not lead out of its folder.
bool is_id(std::string_view id) {
  if (id.empty() || id.size() > 200 || id[0] == '.') return false;
  for (const char c : id)
    if (c == '/' || c == '\\' || static_cast<unsigned char>(c) < 0x20) return false;
  return true;
}

class Parser {
 public:
  Parser(const std::string& path, const LabelFormat& format) : path_(path), format_(format) {}

  std::vector<Label> parse(std::string_view text) {
    std::vector<std::string> cells;
    require(take_line(text, cells), "a quote is not closed");
    read_header(cells);
    std::vector<Label> labels;
    std::unordered_set<std::string> seen;
    while (!text.empty()) {
      ++line_;
      require(take_line(text, cells), "a quote is not closed");
      if (is_blank(cells)) continue;  // editors and spreadsheets leave some at the end
      labels.push_back(row(cells));
      require(seen.insert(labels.back().id).second, "id '", labels.back().id, "' has a row already");
    }
    return labels;
  }

 private:
  template <class... A>
  void require(bool condition, const A&... what) const {
    if (!condition) throw DataError(cat(path_, ":", line_, ": ", what...));
  }

  void read_header(const std::vector<std::string>& names) {
    column_.fill(-1);
    columns_ = names.size();
    for (size_t i = 0; i < names.size(); ++i) {
      const auto known = std::find(kColumns.begin(), kColumns.end(), names[i]);
      require(known != kColumns.end(), "unknown column '", names[i],
              "': expected id,fake_label,x_min,y_min,x_max,y_max[,split][,painter]");
      int& column = column_[known - kColumns.begin()];
      require(column < 0, "column '", names[i], "' stands twice");
      column = int(i);
    }
    for (size_t i = 0; i < 6; ++i) require(column_[i] >= 0, "column '", kColumns[i], "' is missing");
  }

  int number(const std::vector<std::string>& fields, int column) const {
    const std::string_view text = fields[column_[column]];
    int value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    require(error == std::errc() && end == text.data() + text.size(), kColumns[column], " '", text,
            "' is not a whole number");
    return value;
  }

  Label row(const std::vector<std::string>& fields) const {
    require(fields.size() == columns_, "expected ", columns_, " fields, found ", fields.size());
    Label label;
    label.id = fields[column_[0]];
    require(is_id(label.id), "'", label.id, "' cannot be an id (a file is named after it)");
    const std::string_view fake = fields[column_[1]];
    require(fake == "0" || fake == "1", "fake_label '", fake, "' is neither 0 nor 1");
    label.fake = fake == "1";
    label.box = {number(fields, 2), number(fields, 3), number(fields, 4), number(fields, 5)};
    if (format_.paper_axes) label.box = {label.box.y_min, label.box.x_min, label.box.y_max, label.box.x_max};
    if (!label.fake) require(label.box == Box{}, "a box on an image that is not fake: expected 0,0,0,0");
    if (label.fake) {
      require(!label.box.empty(), "the box is inverted or empty");
      require(inside(label.box, format_.width, format_.height), "the box leaves the image of ", format_.width, "x",
              format_.height);
    }
    if (column_[6] >= 0) {
      try {
        label.split = split_named(fields[column_[6]]);
      } catch (const UsageError& error) {
        require(false, error.what());
      }
    }
    if (column_[7] >= 0) {
      label.painter = fields[size_t(column_[7])];
      require(label.fake || label.painter.empty(), "a painter on an image that is not fake");
    }
    return label;
  }

  const std::string& path_;
  const LabelFormat& format_;
  std::array<int, 8> column_{};  // where each of kColumns stands; -1 = absent
  size_t columns_ = 0;
  int line_ = 1;
};

}  // namespace

std::string name_of(Split split) {
  constexpr std::array<const char*, 4> names{"", "train", "validation", "test"};
  return names[size_t(split)];
}

Split split_named(const std::string& name) {
  for (const Split split : {Split::none, Split::train, Split::validation, Split::test})
    if (name == name_of(split)) return split;
  if (name == "val") return Split::validation;
  throw UsageError(cat("unknown split '", name, "': known are train, validation, test"));
}

std::string csv_cell(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == text.npos) return text;
  std::string cell = "\"";
  for (const char c : text) cell += c == '"' ? std::string("\"\"") : std::string(1, c);
  return cell + "\"";
}

std::string from_csv_cell(const std::string& cell) {
  std::string_view rest = cell;
  std::vector<std::string> cells;
  return take_line(rest, cells) && cells.size() == 1 ? cells[0] : cell;
}

std::vector<Label> read_labels(const std::string& path, const LabelFormat& format) {
  const auto bytes = read_file(path);
  const std::string text = as_utf8({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  return Parser(path, format).parse(text);
}

void write_labels(const std::string& path, const std::vector<Label>& labels) {
  const bool painters = std::any_of(labels.begin(), labels.end(), [](const Label& l) { return !l.painter.empty(); });
  std::string text = cat("id,fake_label,x_min,y_min,x_max,y_max,split", painters ? ",painter" : "", "\n");
  for (const Label& l : labels) {
    TT_CHECK(is_id(l.id), DataError, path, ": '", l.id, "' cannot be an id (a file is named after it)");
    TT_CHECK(l.painter.find_first_of(",\n\r") == std::string::npos, DataError, path, ": '", l.painter,
             "' cannot be a painter's name");
    text += csv_cell(l.id) + (l.fake ? ",1," : ",0,") + std::to_string(l.box.x_min) + ',' +
            std::to_string(l.box.y_min) + ',' + std::to_string(l.box.x_max) + ',' + std::to_string(l.box.y_max) + ',' +
            name_of(l.split) + (painters ? "," + l.painter : "") + '\n';
  }
  write_atomically(path, text);
}

}  // namespace telltale
