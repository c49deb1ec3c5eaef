// A report's file: what stands in it, that names cannot break out of it, and that its size is bounded.
#include "models/report/page.h"
#include "models/report/page_files.h"
#include "tests/data/data_fixture.h"

namespace telltale {
namespace {

using nlohmann::json;

/// What the page reads.
json data_of(const std::string& html) {
  const std::string open = "<script type=\"application/json\" id=\"data\">";
  const size_t begin = html.find(open) + open.size(), end = html.find("</script>", begin);
  return json::parse(html.substr(begin, end - begin));
}

PageEntry entry(const std::string& name, double probability, bool fake) {
  PageEntry e{.name = name, .split = "test", .width = 90, .height = 60, .probability = probability};
  e.verdict = probability >= .5 ? "fake" : "real";
  e.fake = fake;
  return e;
}

TEST(ReportPage, HoldsWhatWasSaidAndNothingThatANameSmuggles) {
  ReportPage page(2, 1 << 20);
  PageMap map{3, 2, {0, 1, .5, 0, 0, 0}};
  Grey mask(90, 60);
  mask.pixels[0] = 255;
  PageEntry first = entry("</script><script>alert(1)</script>", .75, true);
  first.box = RealBox{1, 2, 31, 42};
  first.truth = RealBox{1, 2, 31, 22};
  page.add(first, test_picture(90, 60), &map, &mask);
  page.add_unread({.name = "broken.jpg", .remarks = {"broken.jpg: truncated"}});
  const std::string html = page.html({.title = "<b>", .command = "eval --out 'a b'"}, json::object());
  EXPECT_EQ(html.find("alert(1)</script>"), html.npos);
  EXPECT_EQ(html.find("http://"), html.find("http://www.w3.org/2000/svg")) << "needs no network";
  EXPECT_EQ(html.find("https://"), html.npos);
  const json data = data_of(html);
  const json said = data.at("entries").at(0);
  EXPECT_EQ(said.at("name"), first.name);
  EXPECT_EQ(said.at("probability"), .75);
  EXPECT_EQ(said.at("verdict"), "fake");
  EXPECT_EQ(said.at("box"), (json{1, 2, 31, 42}));
  EXPECT_EQ(said.at("iou"), .5);
  EXPECT_TRUE(said.at("heat") && said.at("mask"));
  EXPECT_EQ(said.at("picture").get<std::string>().substr(0, 4), "/9j/") << "a JPEG";
  EXPECT_EQ(said.at("layers").get<std::string>().substr(0, 8), "iVBORw0K") << "a PNG";
  EXPECT_EQ(data.at("entries").at(1).at("verdict"), "unread");
  EXPECT_EQ(data.at("omitted"), 0);
  EXPECT_THROW(page.add(entry("x", .1, false), test_picture(4, 4), std::make_unique<PageMap>(PageMap{2, 2, {1}}).get()),
               ShapeError);
}

TEST(ReportPage, StaysWithinItsBytesAndKeepsTheWrongCalls) {
  constexpr size_t kBytes = 60'000;
  ReportPage page(200, kBytes);
  EXPECT_EQ(page.side(), 64);
  for (int i = 0; i < 200; ++i) page.add(entry(cat(i), i % 10 / 10., i >= 190), test_picture(300, 200, i));
  const std::string html = page.html({}, json::object());
  const json data = data_of(html);
  int64_t kept = 0, bytes = 0;
  for (const json& e : data.at("entries")) {
    const bool wrong = (e.at("verdict") == "fake") != e.at("fake");
    if (e.contains("picture")) {
      ++kept;
      bytes += int64_t(e.at("picture").get<std::string>().size());
    }
    EXPECT_TRUE(wrong || !e.contains("picture")) << e.at("name") << ": there are more wrong calls than fit";
  }
  EXPECT_GT(kept, 10);
  EXPECT_LE(bytes, int64_t(kBytes));
  EXPECT_EQ(data.at("omitted"), 200 - kept) << "and it says so";
  EXPECT_GT(thumbnail_side(100, 48 << 20), thumbnail_side(10'000, 48 << 20));
}

TEST(ReportPage, CurvesAreThinnedToTheirEnds) {
  std::vector<Sample> samples;
  for (int i = 0; i < 5000; ++i) samples.push_back({i % 3 == 0, std::sin(i), {0, 0, 4, 4}, {0, 0, 4, 2}});
  const json curves = curves_json(samples);
  EXPECT_EQ(curves.at("roc").size(), 400u);
  EXPECT_EQ(curves.at("roc").front(), (json{0., 0., 1.}));
  EXPECT_EQ(curves.at("roc").back()[0], 1.);
  EXPECT_NEAR(curves.at("auc").get<double>(), roc_auc(samples), 1e-5);
  EXPECT_EQ(curves.at("overlaps").at(5), 1667);
  EXPECT_TRUE(curves_json(std::vector<Sample>{{true, 1, {}, {}}}).empty()) << "one class has no curves";
}

}  // namespace
}  // namespace telltale
