#include "data/scene_material.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace telltale {

namespace {

float fraction(float x) { return x - std::floor(x); }

// How far into a groove of width `width` around whole numbers: 1 in its middle.
float groove(float x, float width) {
  const float d = std::min(fraction(x), 1 - fraction(x));
  return 1 - smooth_step(0, width, d);
}

}  // namespace

float smooth_step(float low, float high, float x) {
  const float t = std::clamp((x - low) / (high - low), 0.f, 1.f);
  return t * t * (3 - 2 * t);
}

Rgb from_hsv(float hue, float saturation, float value) {
  const auto channel = [&](float n) {
    const float k = std::fmod(n + fraction(hue) * 6, 6.f);
    const float v = value * (1 - saturation * std::clamp(std::min(k, 4 - k), 0.f, 1.f));
    return std::pow(v, 2.2f);
  };
  return {channel(5), channel(3), channel(1)};
}

float Noise::corner(int ix, int iy, float dx, float dy) const {
  uint32_t h = uint32_t(ix) * 0x85ebca6bu ^ uint32_t(iy) * 0xc2b2ae35u ^ seed_ * 0x27d4eb2fu;
  h = (h ^ h >> 15) * 0x2c1b3c6du;
  h = (h ^ h >> 12) * 0x297a2d39u;
  h ^= h >> 15;
  constexpr float d = .70710678f;
  constexpr float kDirections[8][2]{{1, 0}, {-1, 0}, {0, 1}, {0, -1}, {d, d}, {-d, d}, {d, -d}, {-d, -d}};
  return kDirections[h & 7][0] * dx + kDirections[h & 7][1] * dy;
}

float Noise::at(float x, float y) const {
  const float fx = std::floor(x), fy = std::floor(y), u = x - fx, v = y - fy;
  const int ix = int(fx), iy = int(fy);
  const auto fade = [](float t) { return t * t * t * (t * (t * 6 - 15) + 10); };
  const float top = std::lerp(corner(ix, iy, u, v), corner(ix + 1, iy, u - 1, v), fade(u));
  const float bottom = std::lerp(corner(ix, iy + 1, u, v - 1), corner(ix + 1, iy + 1, u - 1, v - 1), fade(u));
  return 1.6f * std::lerp(top, bottom, fade(v));
}

float Noise::fractal(float x, float y, int octaves) const {
  float sum = 0, amplitude = .6f;
  for (int i = 0; i < octaves; ++i, amplitude *= .5f) {
    sum += amplitude * at(x, y);
    // Turned a little each time, so that the lattices do not line up.
    const float turned = 1.6f * x - 1.2f * y + 17.3f;
    y = 1.2f * x + 1.6f * y - 9.1f;
    x = turned;
  }
  return sum;
}

Palette::Palette(Random& random) {
  // Earth, foliage and sky are what most photographs are made of; anything else is the exception.
  const auto common = [&] {
    const double pick = random.uniform();
    return float(pick < .5    ? random.uniform(.03, .13)
                 : pick < .85 ? random.uniform(.16, .28)
                              : random.uniform(.53, .64));
  };
  hues_[0] = common();
  hues_[1] = common();
  hues_[2] = float(random.uniform());
  saturation_ = float(random.uniform(.1, .4));
}

Palette Palette::around(Random& random, double hue, double saturation) {
  Palette p(random);
  p.hues_[0] = float(hue);
  p.hues_[1] = float(hue + random.uniform(-.04, .04));
  p.hues_[2] = float(hue + random.uniform(-.1, .1));
  p.saturation_ = float(saturation);
  return p;
}

Rgb Palette::draw(Random& random) const {
  const double pick = random.uniform();
  const float hue = hues_[pick < .55 ? 0 : pick < .93 ? 1 : 2] + float(random.normal()) * .02f;
  const float saturation = std::clamp(saturation_ * float(std::exp(.45 * random.normal())), 0.f, .6f);
  const float value = std::clamp(.5f * float(std::exp(.45 * random.normal())), .08f, .97f);
  return from_hsv(hue + 1, saturation, value);
}

Material Material::draw(Random& random, const Palette& palette, Kind kind, float scale) {
  Material m;
  m.kind_ = kind;
  m.base_ = palette.draw(random);
  // The second colour is near the first: a surface is one thing.
  m.second_ = mix(m.base_ * float(random.uniform(.45, 1.5)), palette.draw(random), float(random.uniform(0, .35)));
  m.scale_ = scale;
  m.octaves_ = std::clamp(int(std::log2(scale)) - 1, 2, 5);  // finer ones would be smaller than a pixel
  const double angle = random.uniform(0, 2 * std::numbers::pi);
  m.cosine_ = kind == Kind::brick ? 1 : float(std::cos(angle));
  m.sine_ = kind == Kind::brick ? 0 : float(std::sin(angle));
  m.contrast_ = float(random.uniform(.15, .8));
  m.noise_ = Noise(random());
  return m;
}

Material Material::draw(Random& random, const Palette& palette, float scale) {
  constexpr Kind kKinds[]{Kind::plain, Kind::plain, Kind::cloud, Kind::cloud, Kind::speckle, Kind::wood, Kind::weave};
  return draw(random, palette, kKinds[random.integer(0, 6)], scale);
}

Rgb Material::at(float px, float py) const {
  const float x = (px * cosine_ - py * sine_) / scale_, y = (px * sine_ + py * cosine_) / scale_;
  const float rough = noise_.fractal(x * 2, y * 2, octaves_);
  const Rgb grained = base_ * (1 + .25f * contrast_ * rough);
  switch (kind_) {
    case Kind::plain: return grained;
    case Kind::cloud: return mix(grained, second_, smooth_step(-.4f, .6f, rough) * contrast_);
    case Kind::speckle:
      return mix(grained, second_, smooth_step(.15f, .4f, noise_.fractal(x * 9, y * 9, 3)) * contrast_);
    case Kind::wood: {
      const float ring = std::sin(14 * (y + .25f * noise_.fractal(x * .4f, y * 1.5f, 4)));
      return mix(grained, second_, (.5f + .5f * ring) * contrast_) * (1 - .5f * groove(y * .7f, .02f));
    }
    case Kind::weave: {
      const float over = std::sin(x * 22) * std::sin(y * 22), thread = .75f + .25f * std::sin((over > 0 ? x : y) * 88);
      return mix(grained, second_, over > 0 ? contrast_ : 0) * thread;
    }
    case Kind::brick: {
      const float row = std::floor(y * 3), bx = x * 1.3f + .5f * std::fmod(std::abs(row), 2.f);
      const float joint = std::max(groove(y * 3 + .03f * rough, .09f), groove(bx + .02f * rough, .04f));
      const float own = noise_.at(std::floor(bx) * 7.7f + .5f, row * 5.3f + .5f);  // each brick its own shade
      return mix(grained * (1 + .5f * own), second_ * .8f, joint);
    }
  }
  return grained;
}

}  // namespace telltale
