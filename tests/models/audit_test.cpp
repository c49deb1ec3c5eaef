// The audit: facts that see nothing of what was painted, and a classifier that finds a leak and no other.
#include "models/audit/audit.h"

#include <cmath>
#include <map>
#include <numbers>

#include "data/mask.h"
#include "models/audit/logistic.h"
#include "tests/data/data_fixture.h"

namespace telltale {
namespace {

TEST(Audit, FactsDoNotSeeWhatWasPainted) {
  const Image before = test_picture(96, 80);
  const Box hole{30, 24, 61, 50};
  const Grey mask = rasterise(hole, 96, 80);
  Image after = before;
  Random random(1);
  // Up to the margin: JPEG carries an edge into its blocks' neighbours, and blends feather.
  for (int y = hole.y_min - 7; y < hole.y_max + 7; ++y)
    for (int x = hole.x_min - 7; x < hole.x_max + 7; ++x)
      for (int c = 0; c < 3; ++c) after.at(x, y)[c] = uint8_t(random.integer(0, 255));
  EXPECT_EQ(dct_facts(before, mask).values, dct_facts(after, mask).values);
  EXPECT_EQ(border_facts(before, mask).values, border_facts(after, mask).values);
  after.at(0, 70)[1] ^= 0x40;
  EXPECT_NE(dct_facts(before, mask).values, dct_facts(after, mask).values);
  EXPECT_NE(border_facts(before, mask).values, border_facts(after, mask).values);
  EXPECT_TRUE(dct_facts(before, rasterise({0, 0, 96, 80}, 96, 80)).values.empty()) << "nothing is left to look at";
  EXPECT_EQ(dct_facts(before, mask).names.size(), 126u);
}

TEST(Audit, ATransformIsTheOneOfJpeg) {
  // A horizontal wave of one frequency: all of it is in that one.
  Image wave(8, 8);
  for (int y = 0; y < 8; ++y)
    for (int x = 0; x < 8; ++x)
      for (int c = 0; c < 3; ++c)
        wave.at(x, y)[c] = uint8_t(std::lround(128 + 100 * std::cos((2 * x + 1) * 3 * std::numbers::pi / 16)));
  const Facts facts = dct_facts(wave, Grey(8, 8));
  for (size_t i = 0; i < facts.names.size(); i += 2) {
    const bool it = facts.names[i] == "log size of frequency 3,0";
    EXPECT_NEAR(facts.values[i], it ? std::log1p(100 * 2 * std::sqrt(8)) : 0, it ? .01 : 1.2) << facts.names[i];
  }
}

TEST(Audit, FileFactsTellHowAFileWasSaved) {
  const Image image = test_picture(40, 24);
  const auto facts = [&](const std::vector<uint8_t>& bytes) {
    const Facts f = file_facts(bytes, "a picture");
    std::map<std::string, double> named;
    for (size_t i = 0; i < f.names.size(); ++i) named[f.names[i]] = f.values[i];
    return named;
  };
  auto fine = facts(encode_jpeg(image, 95)), coarse = facts(encode_jpeg(image, 60));
  EXPECT_EQ(fine["width"], 40);
  EXPECT_EQ(fine["height"], 24);
  EXPECT_EQ(fine["sampling 0"], 0x22) << "4:2:0";
  EXPECT_LT(fine["quantisation table 0, 5"], coarse["quantisation table 0, 5"]);
  EXPECT_EQ(facts(encode_jpeg(test_picture(40, 24, 3), 95)), fine) << "not what is in the picture";
  std::vector<uint8_t> cut = encode_jpeg(image, 95);
  cut.resize(60);
  EXPECT_EQ(refusal([&] { file_facts(cut, "cut"); }).substr(0, 4), "cut:");
}

TEST(Audit, ARegressionFindsWhatItsDataWereMadeBy) {
  Random random(7);
  std::vector<std::vector<double>> rows;
  std::vector<bool> y;
  for (int i = 0; i < 20000; ++i) {
    rows.push_back({5 + 2 * random.normal(), random.normal(), 3});
    y.push_back(random.uniform() < 1 / (1 + std::exp(-(rows.back()[0] - 5) / 2 * 1.5 - .5)));
  }
  const std::vector<std::span<const double>> x(rows.begin(), rows.end());
  const LogisticModel m = fit_logistic(x, y, 1);
  EXPECT_NEAR(m.weight[0], 1.5, .08);
  EXPECT_NEAR(m.weight[1], 0, .06);
  EXPECT_NEAR(m.bias, .5, .06);
  EXPECT_EQ(m.weight[2], 0) << "what never differs counts nothing";
  EXPECT_EQ(m.strongest(), 0);
}

TEST(Audit, ALeakFailsAndChanceDoesNot) {
  Random random(3);
  std::vector<Facts> blind, leaky;
  std::vector<Label> labels;
  for (int i = 0; i < 600; ++i) {
    labels.push_back({.id = cat("p", i), .fake = i % 2 == 0, .box = {}});
    Facts f{{"a", "b", "c"}, {random.normal(), random.normal(), random.normal()}};
    blind.push_back(f);
    f.values[1] += labels.back().fake ? .8 : 0;
    leaky.push_back(f);
  }
  const AuditFinding none = audit_facts("blind", blind, labels), some = audit_facts("leaky", leaky, labels);
  EXPECT_FALSE(none.leaks()) << none.accuracy;
  EXPECT_TRUE(some.leaks()) << some.accuracy;
  EXPECT_EQ(some.telling, "b");
  EXPECT_NEAR(some.accuracy, .655, .06) << "the normal distribution's share within .4 of its mean's side";
  EXPECT_EQ(some.chance, .5);
  labels.resize(30);
  leaky.resize(30);
  EXPECT_NE(refusal([&] { audit_facts("few", leaky, labels); }).find("20 pictures of each class"), std::string::npos);
}

}  // namespace
}  // namespace telltale
