// Labels as text: the ways in which spreadsheets write a table.
#include "data/labels.h"
#include "tests/data/data_fixture.h"

namespace telltale {
namespace {

constexpr const char* kSix = "id,fake_label,x_min,y_min,x_max,y_max\n";

std::vector<Label> read_text(const std::string& text) {
  Folder folder;
  put(folder / "labels.csv", text);
  return read_labels(folder / "labels.csv");
}

TEST(Labels, QuotedCellsAreRead) {
  const auto rows = read_text(std::string(kSix) + "\"a, b\",\"1\",1,2,30,40\n\"say \"\"x\"\"\",0,0,0,0,0\n");
  EXPECT_EQ(rows[0].id, "a, b");
  EXPECT_TRUE(rows[0].fake);
  EXPECT_EQ(rows[1].id, "say \"x\"");
  for (const std::string text : {"plain", "a, b", "say \"x\"", "line\nend"})
    EXPECT_EQ(from_csv_cell(csv_cell(text)), text);
}

TEST(Labels, Utf16IsReadWhereItIsMarked) {
  const std::string text = std::string(kSix) + "caf\xc3\xa9 \xf0\x9f\x98\x80,0,0,0,0,0\n";
  const std::u16string wide = u"id,fake_label,x_min,y_min,x_max,y_max\ncaf\u00e9 \U0001f600,0,0,0,0,0\n";
  for (const bool little : {true, false}) {
    std::string bytes = little ? "\xff\xfe" : "\xfe\xff";
    for (const char16_t c : wide) {
      const char low = char(c & 0xff), high = char(c >> 8);
      bytes += little ? std::string{low, high} : std::string{high, low};
    }
    EXPECT_EQ(read_text(bytes), read_text(text));
  }
}

TEST(Labels, Utf16CutWithinACharacterIsRefused) {
  std::string bytes = "\xff\xfe";
  for (const char c : std::string(kSix) + "a,0,0,0,0,0\n") bytes += {c, '\0'};
  EXPECT_EQ(read_text(bytes).size(), 1u);
  EXPECT_NE(refusal([&] { read_text(bytes + "b"); }).find(":3: expected 6 fields"), std::string::npos);
}

TEST(Labels, LinesEndAsEverySystemEndsThem) {
  const auto with = [](const std::string& end) {
    std::string text = std::string(kSix) + "\"a\",0,0,0,0,0\nb,1,1,2,30,40\n";
    for (size_t at = 0; (at = text.find('\n', at)) != text.npos; at += end.size()) text.replace(at, 1, end);
    return read_text(text);
  };
  EXPECT_EQ(with("\n").size(), 2u);
  EXPECT_EQ(with("\r\n"), with("\n"));
  EXPECT_EQ(with("\r"), with("\n"));
}

}  // namespace
}  // namespace telltale
