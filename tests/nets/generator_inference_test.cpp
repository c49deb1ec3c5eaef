// What a generator leaves out when it only paints must change nothing: the enlarged images that its convolutions no
// longer see, and what lies outside the holes' windows.
#include <gtest/gtest.h>

#include <cmath>

#include "engine/layers/all.h"
#include "engine/program.h"
#include "kernels/device/host_values.h"
#include "nets/nets.h"
#include "tests/devices.h"
#include "tests/values.h"

namespace telltale {

void PrintTo(const GeneratorNet& net, std::ostream* out) { *out << net.name; }

namespace {

/// Strong enough that the signal lives through the gates.
void draw_parameters(Stream& s, Program& program) {
  uint64_t seed = 10;
  for (const Param& p : program.params().all()) {
    const double bound = p.spec.shape.h > 1 ? 3.5 / std::sqrt(double(p.spec.shape.numel()) / p.spec.shape.n) : 0.2;
    set_values(s, p.value, uniform_values(p.spec.shape.numel(), ++seed, -bound, bound));
  }
  program.params_changed();
}

double largest_difference(const std::vector<double>& a, const std::vector<double>& b) {
  EXPECT_EQ(a.size(), b.size());
  double most = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    EXPECT_TRUE(std::isfinite(a[i]) && std::isfinite(b[i]));
    most = std::max(most, std::abs(a[i] - b[i]));
  }
  return most;
}

struct Hole {
  int top, bottom, left, right;  // ends not included
  bool has(int h, int w) const { return h >= top && h < bottom && w >= left && w < right; }
};

/// Where a window must lie to reach `margin` beyond the holes, all of one side.
struct Windows {
  int side = 4;
  std::vector<double> corners;
  Windows(const std::vector<Hole>& holes, int height, int width, int margin) {
    const auto begin = [&](int at) { return std::max(0, at - margin) / 4 * 4; };
    const auto end = [&](int at, int size) { return std::min(size, (at + margin + 3) / 4 * 4); };
    for (const Hole& o : holes)
      side = std::max({side, end(o.bottom, height) - begin(o.top), end(o.right, width) - begin(o.left)});
    side = std::min({side, height, width});
    for (const Hole& o : holes) {
      corners.push_back(std::min(begin(o.top), height - side));
      corners.push_back(std::min(begin(o.left), width - side));
    }
  }
};

/// A generator's refined image of random pixels with these holes, one a sample.
class Painter {
 public:
  Painter(Stream& s, DType type, const GeneratorNet& net, int height, int width, const std::vector<Hole>& holes,
          const Windows* windows = nullptr, bool fuse = true)
      : shape_{int(holes.size()), height, width, 3}, windows_(windows) {
    Graph graph;
    const Value image = graph.input(shape_), mask = graph.input({shape_.n, height, width, 1});
    HoleWindow window;
    if (windows) window = {graph.input({shape_.n, 1, 1, 2}, DType::i32), windows->side};
    // oneDNN's faster algorithms want whole vectors of channels; the loops in double are slow.
    const int channels = type == DType::f64 ? net.width_step : 16;
    const Inpainted out = net.build(graph, image, mask, channels, window);
    Program program(graph, s, {.compute = type, .fuse = fuse});
    draw_parameters(s, program);
    set_values(s, program.tensor(image), uniform_values(shape_.numel(), 1, net.black, 1));
    std::vector<double> hole;
    for (const Hole& o : holes)
      for (int h = 0; h < height; ++h)
        for (int w = 0; w < width; ++w) hole.push_back(o.has(h, w));
    set_values(s, program.tensor(mask), hole);
    if (windows) set_values(s, program.tensor(window.corner), windows->corners);
    program.forward();
    for (Value v : {out.coarse, out.refined}) painted_.push_back(values_of(s, program.tensor(v)));
    summary = program.summary();
  }
  /// Coarse, then refined, in the holes.
  std::vector<double> in(const std::vector<Hole>& holes) const {
    std::vector<double> values;
    const int rows = windows_ ? windows_->side : shape_.h, columns = windows_ ? windows_->side : shape_.w;
    for (const std::vector<double>& painted : painted_)
      for (size_t n = 0; n < holes.size(); ++n)
        for (int h = holes[n].top; h < holes[n].bottom; ++h)
          for (int w = holes[n].left; w < holes[n].right; ++w) {
            const int i = h - (windows_ ? int(windows_->corners[2 * n]) : 0),
                      j = w - (windows_ ? int(windows_->corners[2 * n + 1]) : 0);
            const auto first = painted.begin() + ((int64_t(n) * rows + i) * columns + j) * 3;
            values.insert(values.end(), first, first + 3);
          }
    return values;
  }
  std::string summary;

 private:
  Shape shape_;
  const Windows* windows_;
  std::vector<std::vector<double>> painted_;
};

class UpsamplingConv : public OnDevice {};
INSTANTIATE_TEST_SUITE_P(Devices, UpsamplingConv, every_device(), device_label);

TEST_P(UpsamplingConv, OfTheSmallImageGivesTheSame) {
  struct Case {
    Shape x;
    int channels;
    Act act;
    bool one_tensor;
  };
  Stream s = stream();
  for (const Case& c : {Case{{1, 1, 1, 1}, 1, Act::none, true},
                        {{2, 5, 3, 7}, 3, Act::elu, false},
                        {{1, 4, 6, 16}, 8, Act::elu, true},
                        {{3, 2, 9, 5}, 24, Act::relu, false}}) {
    Graph graph;
    const Value x = graph.input(c.x), up = graph.add<Upsample>("up", {x}, 2);
    const Value y =
        graph.add<GatedConv>("conv", {up}, GatedConv::Settings{c.channels, 3, {1, 1, 1}, c.act, c.one_tensor});
    for (const auto& [type, allowed] : {std::pair(DType::f64, 1e-13), {DType::f32, 2e-6}, {DType::bf16, 3e-2}}) {
      std::vector<std::vector<double>> results;
      for (const bool fuse : {false, true}) {
        Program program(graph, s, {.compute = type, .fuse = fuse});
        draw_parameters(s, program);
        set_values(s, program.tensor(x), uniform_values(c.x.numel(), 1, -1, 1));
        program.forward();
        results.push_back(values_of(s, program.tensor(y)));
        EXPECT_EQ(program.summary().find("Upsample+GatedConv") != std::string::npos, fuse);
      }
      EXPECT_LT(largest_difference(results[0], results[1]), allowed) << to_string(c.x) << " " << name_of(type);
    }
  }
}

TEST(UpsamplingConv, IsOnlyFoldedWhereNothingTrainsAndTheShapesFit) {
  const auto folded = [](int factor, const GatedConv::Settings& settings, bool training) {
    Graph g;
    const Value up = g.add<Upsample>("up", {g.input({1, 4, 4, 2})}, factor);
    g.add<GatedConv>("conv", {up}, settings);
    return g.fused({.training = training}).nodes().size() == 1;
  };
  const GatedConv::Settings fits{4, 3, {1, 1, 1}};
  EXPECT_TRUE(folded(2, fits, false));
  EXPECT_FALSE(folded(2, fits, true));
  EXPECT_FALSE(folded(4, fits, false));
  EXPECT_FALSE(folded(2, {4, 5, {1, 2, 1}}, false));
  EXPECT_FALSE(folded(2, {4, 3, {2, 1, 1}}, false));
  EXPECT_FALSE(folded(2, {4, 3, {1, 2, 2}}, false));
  EXPECT_FALSE(folded(2, {4, 3, {1, 0, 1}}, false));
}

class Inference : public testing::TestWithParam<GeneratorNet> {};
INSTANTIATE_TEST_SUITE_P(Families, Inference, testing::ValuesIn(generator_nets()),
                         [](const auto& info) { return std::string(info.param.name); });

constexpr int kSize = 64;
/// Corners, edges, a pixel, the middle with windows that end where they must, everything.
const std::vector<std::vector<Hole>> kHoles = {{{0, 5, 0, 9}, {59, 64, 50, 64}, {0, 8, 55, 64}},
                                               {{0, 7, 23, 33}, {60, 64, 19, 21}, {23, 41, 57, 64}},
                                               {{31, 32, 31, 32}, {0, 1, 63, 64}},
                                               {{23, 33, 19, 29}},
                                               {{15, 45, 2, 40}, {30, 31, 30, 31}},
                                               {{0, 64, 0, 64}}};

TEST_P(Inference, AWindowHoldsWhatTheWholeImageWouldHaveInItsHole) {
  Stream cpu = Stream::cpu(), emulated = Stream::emulated();
  for (const std::vector<Hole>& holes : kHoles) {
    const Windows windows(holes, kSize, kSize, kWindowMargin);
    for (Stream* s : {&cpu, &emulated}) {
      if (s == &emulated && &holes != &kHoles[0]) continue;  // much slower, for the same loops over other chunks
      const Painter whole(*s, DType::f64, GetParam(), kSize, kSize, holes),
          window(*s, DType::f64, GetParam(), kSize, kSize, holes, &windows);
      // In double every device convolves by one loop, whose sums a window does not change.
      EXPECT_EQ(window.in(holes), whole.in(holes)) << "windows of " << windows.side;
    }
    const Painter whole(cpu, DType::f32, GetParam(), kSize, kSize, holes),
        window(cpu, DType::f32, GetParam(), kSize, kSize, holes, &windows);
    // Other sizes may take other algorithms of oneDNN's: some ulps a layer, and thirty layers.
    EXPECT_LT(largest_difference(window.in(holes), whole.in(holes)), 2e-5) << "windows of " << windows.side;
  }
}

TEST_P(Inference, TheMarginIsWhatItMustBe) {
  Stream s = Stream::cpu();
  const std::vector<Hole> holes = {{24, 32, 24, 32}};
  const Windows narrow(holes, kSize, kSize, kWindowMargin - 3);  // ends on multiples of 4
  ASSERT_EQ(narrow.side, 32);
  const Painter whole(s, DType::f64, GetParam(), kSize, kSize, holes),
      window(s, DType::f64, GetParam(), kSize, kSize, holes, &narrow);
  EXPECT_GT(largest_difference(window.in(holes), whole.in(holes)), 1e-9);
}

TEST_P(Inference, AnOblongImageHasSquareWindows) {
  Stream s = Stream::cpu();
  const std::vector<Hole> holes = {{3, 9, 51, 57}, {30, 40, 80, 88}};
  const Windows windows(holes, 48, 88, kWindowMargin);
  ASSERT_EQ(windows.side, 36);
  const Painter whole(s, DType::f64, GetParam(), 48, 88, holes),
      window(s, DType::f64, GetParam(), 48, 88, holes, &windows);
  EXPECT_EQ(window.in(holes), whole.in(holes));
}

TEST_P(Inference, FoldedUpsamplingPaintsTheSame) {
  Stream s = Stream::cpu();
  const std::vector<Hole> holes = {{5, 20, 3, 17}, {8, 30, 10, 24}};
  const Painter plain(s, DType::f64, GetParam(), 32, 24, holes, nullptr, false),
      fused(s, DType::f64, GetParam(), 32, 24, holes);
  EXPECT_LT(largest_difference(fused.in(holes), plain.in(holes)), 1e-11);
  size_t folds = 0;
  for (size_t at = 0; (at = fused.summary.find("Upsample+GatedConv", at)) != std::string::npos; ++at) ++folds;
  EXPECT_EQ(folds, 4u);
}

}  // namespace
}  // namespace telltale
