#include "data/camera.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"
#include "data/luma.h"
#include "data/painters/picture.h"

namespace telltale {
namespace {

Image rescaled(const Image& photo, int least, Random& random) {
  const int shorter = std::min(photo.width, photo.height);
  const double smallest = std::min(1., std::max(.6, double(least) / shorter));
  const double kind = random.uniform();
  double scale = 1;
  if (kind < .3) scale = random.uniform(smallest, 1);
  if (kind >= .6) scale = std::exp2(random.uniform(0, 2));  // one pixel's detail over several, as large sensors give it
  const Filter filter = random.uniform() < .5 ? Filter::bilinear : Filter::lanczos;
  if (scale == 1) return photo;
  return resize(photo, std::max(1, int(std::lround(photo.width * scale))),
                std::max(1, int(std::lround(photo.height * scale))), filter);
}

/// Smooth noise, about uniform in [0, 1]: a few random waves.
std::vector<float> field(int width, int height, Random& random) {
  constexpr int kWaves = 4;
  double across[kWaves], down[kWaves], phase[kWaves];
  for (int k = 0; k < kWaves; ++k) {
    across[k] = random.normal() * 4 / width;
    down[k] = random.normal() * 4 / height;
    phase[k] = random.uniform(0, 6.2832);
  }
  std::vector<float> values(size_t(width) * size_t(height));
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x) {
      double sum = 0;
      for (int k = 0; k < kWaves; ++k) sum += std::sin(across[k] * x + down[k] * y + phase[k]);
      values[size_t(y) * size_t(width) + size_t(x)] = float(1 / (1 + std::exp(-2 * sum)));
    }
  return values;
}

/// Between p and q, by a share of q for each pixel.
Picture between(const Picture& p, const Picture& q, const std::vector<float>& share) {
  Picture out = p;
  for (size_t i = 0; i < out.rgb.size(); ++i) out.rgb[i] += share[i / 3] * (q.rgb[i] - p.rgb[i]);
  return out;
}

void change_tones(Picture& p, Random& random) {
  const float gamma = float(std::exp2(random.uniform(-.5, .5))), contrast = float(random.uniform(.7, 1.2));
  const float exposure = float(random.uniform() < .3 ? random.uniform(1, 2) : 1);  // burnt out where it was bright
  for (float& v : p.rgb)
    v = std::clamp(.5f + contrast * (exposure * std::pow(std::clamp(v, 0.f, 1.f), gamma) - .5f), 0.f, 1.f);
}

void make_grey(Picture& p) {
  for (size_t i = 0; i < p.rgb.size(); i += 3) {
    const float shade = luma(&p.rgb[i]);
    std::fill_n(&p.rgb[i], 3, shade);
  }
}

/// Variance a constant plus a share of the light, as sensors have it.
void add_noise(Picture& p, Random& random) {
  const double strength = std::pow(10, random.uniform(-2.7, -1.4)), dark = random.uniform(.1, 1);
  for (float& v : p.rgb) {
    const double light = std::clamp(double(v), 0., 1.);
    v += float(strength * std::sqrt(dark + (1 - dark) * light) * random.normal());
  }
}

/// One colour of a Bayer mosaic is kept in each pixel; the others are its neighbours' means.
Picture mosaicked(const Picture& p, Random& random) {
  const int right = int(random.integer(0, 1)), down = int(random.integer(0, 1));
  const auto colour = [&](int x, int y) { return (y + down) % 2 == 0 ? (x + right) % 2 : 1 + (x + right) % 2; };
  Picture out = p;
  for (int y = 0; y < p.height; ++y)
    for (int x = 0; x < p.width; ++x)
      for (int c = 0; c < 3; ++c) {
        if (c == colour(x, y)) continue;
        float sum = 0;
        int count = 0;
        for (int v = std::max(0, y - 1); v <= std::min(p.height - 1, y + 1); ++v)
          for (int u = std::max(0, x - 1); u <= std::min(p.width - 1, x + 1); ++u)
            if (colour(u, v) == c) {
              sum += p.at(u, v)[c];
              ++count;
            }
        if (count) out.at(x, y)[c] = sum / float(count);
      }
  return out;
}

/// Detail weaker than a threshold is taken away, as cameras denoise; what is stronger stays, less the threshold.
void denoise(Picture& p, Random& random) {
  const float threshold = float(random.uniform(.003, .03));
  const Picture smooth = gaussian_blur(p, random.uniform(.7, 1.5));
  for (size_t i = 0; i < p.rgb.size(); ++i) {
    const float d = p.rgb[i] - smooth.rgb[i];
    p.rgb[i] = smooth.rgb[i] + std::copysign(std::max(0.f, std::abs(d) - threshold), d);
  }
}

void sharpen(Picture& p, Random& random) {
  const Picture smooth = gaussian_blur(p, random.uniform(.6, 1.6));
  const float amount = float(random.uniform(.2, 1.2));
  for (size_t i = 0; i < p.rgb.size(); ++i) p.rgb[i] += amount * (p.rgb[i] - smooth.rgb[i]);
}

}  // namespace

Image through_camera(const Image& photo, int least, Random& random) {
  TT_CHECK(photo.width > 0 && photo.height > 0, ShapeError, "an empty photograph has no camera");
  const auto chance = [&](double p) { return random.uniform() < p; };
  Picture p = to_picture(rescaled(photo, least, random));
  if (chance(.06)) make_grey(p);
  if (chance(.3)) change_tones(p, random);
  if (chance(.15)) p = gaussian_blur(p, random.uniform(.4, 2));
  if (chance(.2)) p = between(p, gaussian_blur(p, random.uniform(1, 4)), field(p.width, p.height, random));
  if (chance(.5)) add_noise(p, random);
  if (chance(.35)) p = mosaicked(p, random);
  if (chance(.35)) denoise(p, random);
  if (chance(.35)) sharpen(p, random);
  return to_image(p);
}

}  // namespace telltale
