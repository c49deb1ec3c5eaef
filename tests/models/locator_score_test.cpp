// A picture's score: statistics that do not grow with the picture, a model that is fitted, clamped and carried along.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "data/jpeg.h"
#include "engine/program.h"
#include "models/locator/inspection.h"
#include "models/locator/score.h"
#include "tests/data/data_fixture.h"
#include "tests/values.h"
#include "weights/names.h"

namespace telltale {
namespace {

/// Logits around −2 and, in a square of `share` of the map, around `lit`.
std::vector<float> drawn_map(int side, double share, double lit, uint64_t seed) {
  const std::vector<double> noise = uniform_values(int64_t(side) * side, seed, -1, 1);
  std::vector<float> logits(noise.size());
  const int square = int(std::lround(side * std::sqrt(share)));
  for (int y = 0; y < side; ++y)
    for (int x = 0; x < side; ++x) {
      const size_t at = size_t(y) * size_t(side) + size_t(x);
      logits[at] = float(noise[at] + (x < square && y < square ? lit : -2));
    }
  return logits;
}

MapStatistics statistics_of(int side, double share, double lit, uint64_t seed) {
  const std::vector<float> logits = drawn_map(side, share, lit, seed);
  return map_statistics({side, side, 2, logits});
}

TEST(MapStatistic, IsWhatItsNameSays) {
  std::vector<float> logits(2000);
  for (size_t i = 0; i < logits.size(); ++i) logits[i] = float(i * 7919 % 2000) / 100 - 15;  // −15 … 4.99, each once
  const double top = 5 - 20 * 0.005 - 0.005;
  const MapStatistics s = map_statistics({50, 40, 2, logits});
  EXPECT_NEAR(s[0], top, 1e-5);
  EXPECT_NEAR(s[1], top, 1e-5);
  for (float& v : logits) v -= 10;
  const MapStatistics dark = map_statistics({50, 40, 2, logits});
  EXPECT_NEAR(dark[0], top - 10, 1e-5);
  EXPECT_EQ(dark[1], 0);
  EXPECT_THROW(map_statistics({}), ShapeError);
}

TEST(MapStatistic, DoesNotGrowWithThePicture) {
  for (const double share : {0.0, 0.1}) {
    const MapStatistics small = statistics_of(128, share, 2, 1), large = statistics_of(512, share, 2, 2);
    for (size_t k = 0; k < small.size(); ++k) EXPECT_NEAR(small[k], large[k], 0.05) << kMapStatistics[k];
  }
}

/// A square as bright as normal chance makes it, brighter by one and a half spreads in fakes: the logit of "fake" is
/// then linear in its brightness.
std::vector<ScoredMap> drawn_maps(int count, uint64_t seed) {
  Random random(seed);
  std::vector<ScoredMap> maps;
  for (int i = 0; i < count; ++i) {
    const bool fake = i % 2 == 0;
    const double share = random.uniform(0.02, 0.3), lit = (fake ? 1.0 : -0.5) + random.normal();
    const std::vector<float> logits = drawn_map(64, share, lit, seed * 1000 + uint64_t(i));
    const LogitMap map{64, 64, 2, logits};
    maps.push_back({fake, map_statistics(map), picture_logit(map)});
  }
  return maps;
}

double area_under(const std::vector<ScoredMap>& maps, const std::function<double(const ScoredMap&)>& logit) {
  std::vector<Sample> samples;
  for (const ScoredMap& m : maps) samples.push_back({m.fake, logit(m), {}, {}});
  return roc_auc(samples);
}

TEST(Calibrations, KeepTheOrderAndTheirPromises) {
  const std::vector<ScoredMap> maps = drawn_maps(400, 1), unseen = drawn_maps(400, 2);
  const Calibration c = calibrate(maps, 0.1, 0.1);
  const auto own = [&](const ScoredMap& m) { return c.logit(m.statistics); };
  const auto plain = [](const ScoredMap& m) { return m.plain; };
  EXPECT_NEAR(area_under(unseen, own), area_under(unseen, plain), 1e-3) << "but for what lies beyond the range seen";
  EXPECT_LT(c.error_after, c.error_before);
  EXPECT_LT(c.error_after, 0.1);
  EXPECT_EQ(c.fakes, 200);
  EXPECT_EQ(c.reals, 200);
  EXPECT_GE(c.threshold, 0.5);
  EXPECT_LE(c.real_below, 0.5);
  double alarms = 0, missed = 0;
  std::vector<Sample> samples;
  for (const ScoredMap& m : unseen) {
    samples.push_back({m.fake, own(m), {}, {}});
    alarms += !m.fake && calls_fake(own(m), c.threshold);
    missed += m.fake && !calls_fake(own(m), c.real_below);
  }
  EXPECT_LE(alarms / 200, 0.1 + 3 * std::sqrt(0.1 * 0.9 / 200)) << "three standard errors above what was promised";
  EXPECT_LE(missed / 200, 0.1 + 3 * std::sqrt(0.1 * 0.9 / 200));
  EXPECT_GT(alarms, 0) << "a threshold that nothing reaches promises nothing";
  EXPECT_LT(calibration_error(samples), 0.1);
  const Calibration strict = calibrate(maps, 0.01, 0.01);
  EXPECT_GT(strict.threshold, c.threshold);
  EXPECT_LT(strict.real_below, c.real_below) << "what lies between is doubtful";
}

TEST(Calibrations, TakeWhatWasNeverSeenAsTheEndOfWhatWas) {
  const Calibration c = calibrate(drawn_maps(200, 3));
  MapStatistics highest, beyond;
  for (size_t k = 0; k < highest.size(); ++k) {
    highest[k] = c.terms[k].high;
    beyond[k] = c.terms[k].high + 1000;
  }
  EXPECT_EQ(c.logit(beyond), c.logit(highest));
  EXPECT_TRUE(std::isfinite(c.logit(beyond)));
}

TEST(Calibrations, OfClassesThatOneNumberPartsAreFinite) {
  std::vector<ScoredMap> maps = drawn_maps(100, 4);
  for (ScoredMap& m : maps) m.statistics.fill(m.fake ? 1 : -1);
  const Calibration c = calibrate(maps);
  EXPECT_TRUE(std::isfinite(c.bias));
  EXPECT_GT(c.logit(maps[0].statistics), 0);
  EXPECT_LT(c.logit(maps[1].statistics), 0);
}

TEST(Calibrations, OfAConstantWeighNothing) {
  std::vector<ScoredMap> maps = drawn_maps(100, 4);
  for (ScoredMap& m : maps) m.statistics.fill(5);
  EXPECT_EQ(calibrate(maps).terms[0].weight, 0);
}

TEST(Calibrations, NeedEnoughOfBoth) {
  std::vector<ScoredMap> maps = drawn_maps(40, 5);
  EXPECT_NO_THROW(calibrate(maps));
  maps.pop_back();
  EXPECT_NE(refusal([&] { calibrate(maps); }).find("20 and 19"), std::string::npos);
  EXPECT_THROW(calibrate(drawn_maps(40, 5), 0), UsageError);
  EXPECT_THROW(calibrate(drawn_maps(40, 5), .05, 1), UsageError);
}

TEST(Calibrations, AreTextWithTheSameBits) {
  const Calibration c = calibrate(drawn_maps(100, 6));
  const std::string text = to_text(c);
  const Calibration back = calibration_of(text);
  EXPECT_EQ(to_text(back), text);
  const MapStatistics s = statistics_of(64, 0.1, 1, 7);
  EXPECT_EQ(back.logit(s), c.logit(s));
  EXPECT_EQ(back.threshold, c.threshold);
  EXPECT_EQ(text, to_text(calibrate(drawn_maps(100, 6)))) << "the same samples give the same bits";
  refusal([] { calibration_of("{}"); });
  refusal([] { calibration_of("not JSON"); });
  std::string renamed = text, turned = text;
  renamed.replace(renamed.find("top_1"), 5, "top_6");
  refusal([&] { calibration_of(renamed); });
  turned.replace(turned.find("\"threshold\":0"), 13, "\"threshold\":7");
  EXPECT_NE(refusal([&] { calibration_of(turned); }).find("out of order"), std::string::npos);
}

TEST(PixelReliability, IsTheShareOfCallsThatHold) {
  // Pixels are painted with a probability that is known: fitting finds it again.
  const PixelCalibration truth{0.5, -1.5};
  const std::vector<double> drawn = uniform_values(200000, 11, -8, 8), chance = uniform_values(200000, 12, 0, 1);
  std::vector<float> logits, labels;
  double right = 0;
  for (size_t i = 0; i < drawn.size(); ++i) {
    logits.push_back(float(drawn[i]));
    labels.push_back(chance[i] < truth.probability(drawn[i]));
    right += (logits[i] >= 0) == (labels[i] >= 0.5f);
  }
  LogitCounts counts;
  counts.add(logits.data(), labels.data(), int64_t(logits.size()));
  const PixelCalibration found = counts.fitted();
  EXPECT_NEAR(found.scale, truth.scale, 0.01);
  EXPECT_NEAR(found.bias, truth.bias, 0.03);
  EXPECT_NEAR(reliability({500, 400, 2, logits}, found), right / double(logits.size()), 0.005);
  EXPECT_LT(reliability({500, 400, 2, logits}, found), reliability({500, 400, 2, logits}, {}) - 0.05);
  EXPECT_EQ(LogitCounts().fitted().scale, 1) << "nothing counted";
  LogitCounts parted;
  const float extremes[] = {-1000, 1000}, sure[] = {0, 1};
  parted.add(extremes, sure, 2);
  EXPECT_GT(parted.fitted().probability(20), 0.99);
}

/// A locator's weights as they are at first, and a copy with a calibration.
class CalibratedLocator : public testing::Test {
 protected:
  CalibratedLocator() {
    const PictureGraph net = locator_graph({.width = 4}, {1, 8, 8, 3});
    Program program(net.graph, stream_, {.seed = 3});
    write_safetensors(dir_ / "plain.safetensors", params_dict(stream_, program.params()),
                      {{"kind", "locator"}, {"net", "locator"}, {"width", "4"}, {"residuals", "1"}});
    write_calibrated(dir_ / "own.safetensors", WeightsFile::open(dir_ / "plain.safetensors"), calibration_);
  }
  Folder dir_;
  Stream stream_ = Stream::cpu(1);
  Calibration calibration_ = calibrate(drawn_maps(100, 8));
};

TEST_F(CalibratedLocator, ScoresByItAndOthersGoOnAsBefore) {
  Locator plain(dir_ / "plain.safetensors", stream_, {}), own(dir_ / "own.safetensors", stream_, {});
  const Image image = test_picture(70, 90);
  const PictureMap map = plain.look(image);
  EXPECT_EQ(map.logits, own.look(image).logits);
  EXPECT_EQ(plain.score(map), picture_logit(map.view()));
  EXPECT_EQ(plain.threshold(), 0.5);
  EXPECT_EQ(own.score(map), calibration_.logit(map_statistics(map.view())));
  EXPECT_EQ(own.threshold(), calibration_.threshold);
  EXPECT_EQ(own.sample_of(map, {}).logit, own.score(map));
  WeightsFile file = WeightsFile::open(dir_ / "plain.safetensors");
  Metadata broken = file.metadata();
  broken["calibration"] = "{\"terms\":{}}";
  write_safetensors(dir_ / "broken.safetensors", file.state_dict(), broken);
  EXPECT_NE(refusal([&] { Locator(dir_ / "broken.safetensors", stream_, {}); }).find("broken.safetensors"),
            std::string::npos);
}

/// Noise in colour, of the finest detail.
Image noise_picture(int width, int height) {
  Image image(width, height);
  Random random(9);
  for (uint8_t& v : image.rgb) v = uint8_t(random.integer(40, 200));
  return image;
}

TEST_F(CalibratedLocator, SaysWhyItIsUncertain) {
  Locator plain(dir_ / "plain.safetensors", stream_, {});
  const Image image = noise_picture(96, 80);
  const auto said = [&](const Photograph& photo) { return inspect(plain, photo); };
  const auto why = [&](const Photograph& photo) {
    const Inspection i = said(photo);
    EXPECT_EQ(i.answer == Answer::uncertain, !i.reasons.empty());
    std::string text;
    for (const std::string& reason : i.reasons) text += reason + "; ";
    return text;
  };
  const auto photo = [](Image of, int quality = 0) { return Photograph{"x", std::move(of), quality, {}}; };
  const auto jpeg = [&](int quality) { return decode_photograph(encode_jpeg(image, quality), "x.jpg"); };
  EXPECT_EQ(why(photo(image)).find("small"), std::string::npos);
  EXPECT_EQ(why(photo(image)).find("enlarged"), std::string::npos);
  EXPECT_NE(why(photo(noise_picture(63, 200))).find("too small (63x200"), std::string::npos);
  EXPECT_NE(why(jpeg(30)).find("quality about 30"), std::string::npos) << why(jpeg(30));
  EXPECT_EQ(why(jpeg(60)).find("compressed"), std::string::npos);
  EXPECT_NE(why(photo(resize(image, 192, 160, Filter::lanczos))).find("enlarged"), std::string::npos);
  EXPECT_NE(why(photo(Image(96, 80))).find("flat colour"), std::string::npos);
  Image grey = image;
  for (size_t i = 0; i < grey.rgb.size(); i += 3) grey.rgb[i + 1] = grey.rgb[i + 2] = grey.rgb[i];
  EXPECT_EQ(said(photo(grey)).notes.size(), 1u);
  EXPECT_TRUE(said(photo(image)).notes.empty());
}

TEST(JpegQuality, IsWhatWasAskedOfTheEncoder) {
  const Image image = test_picture(32, 24);
  for (const int quality : {5, 20, 50, 75, 90, 95, 100}) EXPECT_EQ(jpeg_quality(encode_jpeg(image, quality)), quality);
  const std::vector<uint8_t> none{0xff, 0xd8, 0xff, 0};
  EXPECT_EQ(jpeg_quality(none), 0);
  EXPECT_EQ(jpeg_quality({}), 0);
}

}  // namespace
}  // namespace telltale
