#include "data/scenes.h"

#include <cmath>
#include <numbers>

#include "base/check.h"
#include "data/scene_paint.h"

namespace telltale {

namespace {

// A scene in the making. Lengths are shares of the side `n`, times n.
class Scene {
 public:
  Scene(int n, uint64_t seed) : random_(seed), palette_(random_), canvas_(n, n), n_(float(n)) {
    const float around = uniform(0, 2 * std::numbers::pi), up = uniform(.35, .85);
    const float flat = std::sqrt(1 - up * up);
    light_ = {flat * std::cos(around), -std::abs(flat * std::sin(around)), up};
  }

  Canvas draw() {
    const double kind = random_.uniform();
    if (kind < .35)
      landscape();
    else if (kind < .55)
      street();
    else if (kind < .8)
      tabletop();
    else
      close_up();
    return std::move(canvas_);
  }

 private:
  float uniform(double low, double high) { return float(random_.uniform(low, high)); }
  Material material(float scale) { return Material::draw(random_, palette_, scale * n_); }
  Material material(Material::Kind kind, float scale) { return Material::draw(random_, palette_, kind, scale * n_); }

  Leaf leaf(float x, float y, float radius) {
    Leaf l{.x = x, .y = y, .radius = radius};
    const double shape = random_.uniform();
    l.sides = shape < .35 ? int(random_.integer(3, 7)) : 0;
    l.wobble = uniform(0, .35);
    l.aspect = uniform(.3, 1);
    l.angle = uniform(0, 2 * std::numbers::pi);
    l.dome = uniform(0, .9);
    l.gloss = random_.uniform() < .2 ? uniform(0, .6) : 0;
    l.shadow = uniform(.2, .7);
    l.seed = random_();
    return l;
  }

  // Dead leaves over a band of rows, back to front: those lower down are nearer, so larger by `nearness`.
  void leaves(int count, float top, float bottom, float least, float most, float nearness) {
    constexpr int kMaterials = 7;  // things come in kinds
    std::vector<Material> kinds;
    kinds.reserve(kMaterials);
    for (int i = 0; i < kMaterials; ++i) kinds.push_back(material(uniform(.03, .25)));
    for (int i = 0; i < count; ++i) {
      const float depth = float(i + 1) / float(count);
      const float y = top + (bottom - top) * (nearness > 1 ? depth : uniform(0, 1));
      const float radius = draw_radius(random_, least, most) * (1 + (nearness - 1) * depth);
      paint_leaf(canvas_, leaf(uniform(-.1, 1.1) * n_, y, radius), kinds[size_t(random_.integer(0, kMaterials - 1))],
                 light_);
    }
  }

  // Sky from row 0 to `horizon`; returns its colour at the horizon, which distance fades into.
  Rgb sky(float horizon) {
    const double weather = random_.uniform();
    const float hue = weather < .6 ? uniform(.55, .62) : weather < .8 ? uniform(.03, .1) : .58f;
    const float strength = weather < .6 ? uniform(.3, .7) : weather < .8 ? uniform(.3, .6) : .06f;
    const Rgb high = from_hsv(weather < .8 && weather >= .6 ? .62f : hue, strength, uniform(.5, .85));
    const Rgb low = from_hsv(hue, strength * .35f, uniform(.85, 1));
    const Rgb white = from_hsv(hue, .04f, uniform(.85, 1));
    const Noise clouds(random_());
    const float cover = uniform(-.4, .5), size = uniform(2, 5);
    canvas_.fill(0, 0, n_, horizon, [&](float x, float y, const Rgb&) {
      const float h = 1 - y / horizon, far = 1 / (.15f + h);  // clouds shrink towards the horizon
      const float cloud = clouds.fractal(size * (x / n_ - .5f) * (.5f + far * .5f), size * far, 6);
      return mix(mix(low, high, std::sqrt(h)), white, .9f * smooth_step(-cover, .7f - cover, cloud));
    });
    return low;
  }

  // A plane seen at a slant from `horizon` to the bottom.
  void ground(float horizon, const Material& surface, const Rgb& haze, float fading) {
    canvas_.fill(0, horizon, n_, n_, [&](float x, float y, const Rgb&) {
      const float z = .25f / ((y - horizon) / (n_ - horizon) + .04f);
      const Rgb near = surface.at((x - n_ / 2) * z * 1.5f, z * n_ * 2) * (.8f + .7f * light_.z);
      return mix(near, haze, fading * smooth_step(1, 6, z));
    });
  }

  void landscape() {
    const float horizon = uniform(.3, .65) * n_;
    const Rgb haze = sky(horizon + .06f * n_);
    palette_ = Palette::around(random_, uniform(.08, .3), uniform(.15, .4));
    const int ridges = int(random_.integer(1, 4));
    for (int k = 0; k < ridges; ++k) {
      const float depth = float(k + 1) / float(ridges + 1), height = uniform(.03, .3) * (1.2f - depth) * n_;
      const Noise shape(random_()), trees(random_());
      const Material surface = material(Material::Kind::cloud, .05f + .1f * depth);
      const float width = uniform(1.5, 4), forest = uniform(0, .02) * n_, foot = horizon + .03f * n_;
      std::vector<float> top(size_t(canvas_.width));
      for (size_t x = 0; x < top.size(); ++x) {
        const float t = float(x) / n_;
        top[x] = horizon - height * (.5f + .8f * shape.fractal(t * width, .5f, 6)) -
                 forest * std::abs(trees.fractal(t * 60, .5f, 3));
      }
      canvas_.fill(0, *std::min_element(top.begin(), top.end()), n_, foot, [&](float x, float y, const Rgb& old) {
        if (y < top[size_t(x)]) return old;
        const float gradient = .75f + .5f * shape.at(x / n_ * width * 4, y / n_ * 8);
        return mix(surface.at(x, y) * gradient, haze, .8f * (1 - depth));
      });
    }
    ground(horizon + .02f * n_, material(Material::Kind::cloud, .15f), haze, .25f);
    const int trees = int(random_.integer(0, 4));
    for (int k = 0; k < trees; ++k) {
      const float near = uniform(0, 1);
      tree(uniform(0, 1) * n_, horizon + (.05f + .4f * near) * n_, (.12f + .5f * near) * n_);
    }
    if (random_.uniform() < .7)
      leaves(int(random_.integer(100, 900)), horizon + uniform(.05, .25) * n_, n_ * 1.05f, .003f * n_, .04f * n_, 3);
  }

  void tree(float x, float foot, float height) {
    const bool autumn = random_.uniform() < .2;
    const Palette greens = Palette::around(random_, autumn ? uniform(.04, .12) : uniform(.17, .3), uniform(.25, .5));
    const Palette earth = Palette::around(random_, uniform(.05, .1), uniform(.1, .3));
    const Material bark = Material::draw(random_, earth, Material::Kind::wood, .05f * n_);
    constexpr int kShades = 4;
    std::vector<Material> shades;
    shades.reserve(kShades);
    for (int i = 0; i < kShades; ++i)
      shades.push_back(Material::draw(random_, greens, Material::Kind::speckle, uniform(.01, .05) * n_));
    const float trunk = height * uniform(.02, .05), lean = uniform(-.1, .1), bare = uniform(.2, .45);
    canvas_.fill(x - height, foot - height * .75f, x + height, foot, [&](float px, float py, const Rgb& old) {
      const float up = (foot - py) / height, side = (px - x - lean * up * height) / (trunk * (1.2f - up));
      if (std::abs(side) > 1) return old;
      return bark.at(px * 3, py * .5f) * (.2f + .5f * std::max(0.f, 1 - .6f * std::abs(side - light_.x)));
    });
    const int tufts = int(random_.integer(400, 1200));
    const float wide = uniform(.12, .26), tall = (1 - bare) / 2;
    for (int i = 0; i < tufts; ++i) {
      // Within an egg; those drawn later are nearer its lit surface, the first ones its dark inside.
      const float turn = uniform(0, 2 * std::numbers::pi), far = std::sqrt(uniform(0, 1));
      const float across = wide * far * std::cos(turn), along = tall * far * std::sin(turn) + bare + tall;
      Leaf l =
          leaf(x + (across + lean * along) * height, foot - along * height, draw_radius(random_, .008f, .05f) * height);
      l.wobble = .4f, l.sides = 0, l.gloss = 0;
      l.shadow = .45f;
      paint_leaf(canvas_, l, shades[size_t(random_.integer(0, kShades - 1))], light_);
    }
  }

  void street() {
    const float pavement = uniform(.72, .95) * n_, eaves = uniform(-.3, .25) * n_;
    sky(std::max(.3f * n_, eaves + .1f * n_));
    const bool bricks = random_.uniform() < .6;
    const Material wall =
        material(bricks ? Material::Kind::brick : Material::Kind::cloud, bricks ? uniform(.04, .12) : .3f);
    const float slant = uniform(-.35, .35), edge = uniform(-1.5, 1.5), shade = uniform(.35, .8);
    // Farther to one side means smaller: wall coordinates from picture coordinates.
    const auto perspective = [&](float x) { return 1 / (1 + slant * (x / n_ - .5f)); };
    const float middle = uniform(.3, .6) * n_;
    canvas_.fill(0, 0, n_, n_, [&](float x, float y, const Rgb& old) {
      const float k = perspective(x), wy = middle + (y - middle) * k, wx = (x - n_ / 2) * k;
      if (wy < eaves || wy > pavement) return old;
      const float lit = (wx / n_ * .8f + wy / n_ - .5f) * 2 > edge ? shade : 1;
      const float under = 1 - .5f * (1 - smooth_step(0, .04f * n_, wy - eaves));
      return wall.at(wx, wy) * (lit * under);
    });
    windows(eaves, pavement, middle, slant);
    canvas_.fill(0, 0, n_, n_, [&](float x, float y, const Rgb& old) {
      const float k = perspective(x), wy = middle + (y - middle) * k;
      if (wy <= pavement) return old;
      const float z = 1 / (1 + 3 * (wy - pavement) / n_);
      return pavement_.at((x - n_ / 2) * z, z * n_) * (.5f + .5f * smooth_step(0, .03f * n_, wy - pavement));
    });
    if (random_.uniform() < .5) tree(uniform(0, 1) * n_, pavement + uniform(.02, .1) * n_, uniform(.5, 1.1) * n_);
    if (random_.uniform() < .4) leaves(int(random_.integer(20, 200)), pavement, n_, .004f * n_, .03f * n_, 2);
  }

  void windows(float eaves, float pavement, float middle, float slant) {
    const float pitch = uniform(.18, .4) * n_, storey = uniform(.22, .42) * n_;
    const float wide = pitch * uniform(.35, .7), tall = storey * uniform(.45, .75), frame = .012f * n_;
    const Rgb frame_colour = palette_.draw(random_), sky_colour = from_hsv(.58f, .2f, uniform(.3, .9));
    const float offset = uniform(0, 1) * pitch, bars = float(random_.integer(1, 3));
    const Noise inside(random_());
    canvas_.fill(0, 0, n_, n_, [&](float x, float y, const Rgb& old) {
      const float k = 1 / (1 + slant * (x / n_ - .5f)), wy = middle + (y - middle) * k, wx = (x - n_ / 2) * k + offset;
      if (wy < eaves || wy > pavement) return old;
      const float column = std::floor(wx / pitch), row = std::floor((wy - eaves) / storey);
      const float u = wx - column * pitch - (pitch - wide) / 2, v = wy - eaves - row * storey - (storey - tall) / 2;
      if (eaves + (row + 1) * storey > pavement + .1f * n_) return old;
      if (u < -frame || v < -frame || u > wide + frame || v > tall + 2 * frame) return old;
      if (v > tall) return frame_colour * 1.1f;  // the sill
      const float bar = std::fmod(u / wide * (bars + 1), 1.f) * wide / (bars + 1);
      if (u < 0 || v < 0 || u > wide || bar < frame * .4f) return frame_colour * (u < 0 || v < 0 ? .6f : 1.f);
      const float mirror = .5f + .5f * inside.fractal(column * 3.7f + u / n_ * 3, row * 5.1f + v / n_ * 5, 4);
      const float recess = smooth_step(0, .03f * n_, v) * smooth_step(0, .02f * n_, u);
      return mix(Rgb{.02f, .02f, .025f}, sky_colour, mirror * .7f * (1 - .5f * v / tall)) * (.4f + .6f * recess);
    });
  }

  void tabletop() {
    const float edge = uniform(.35, .7) * n_;
    const Material wall = material(random_.uniform() < .5 ? Material::Kind::plain : Material::Kind::cloud,
                                   uniform(.2, .6)),
                   top = material(random_.uniform() < .5 ? Material::Kind::wood : Material::Kind::weave, .2f);
    const float glow_x = uniform(-.2, 1.2) * n_, glow_y = uniform(-.3, .5) * n_;
    canvas_.fill(0, 0, n_, edge, [&](float x, float y, const Rgb&) {
      const float d = std::hypot(x - glow_x, y - glow_y) / n_;
      return wall.at(x, y) * (1.2f / (1 + 2 * d * d));
    });
    if (random_.uniform() < .6) blur(canvas_, uniform(1, 8) * n_ / 512);
    ground(edge, top, {}, 0);
    const int things = int(random_.integer(3, 12));
    for (int i = 0; i < things; ++i) {
      const float foot = edge + (n_ - edge) * (.1f + .8f * float(i) / float(things)),
                  near = .5f + .6f * (foot - edge) / (n_ - edge);
      thing(uniform(.02, .98) * n_, foot, uniform(.08, .3) * n_ * near);
    }
  }

  // A ball, or a body of revolution (vase, bottle, cup), standing at (x, foot).
  void thing(float x, float foot, float height) {
    const Material surface = material(uniform(.04, .2));
    Leaf shadow{.x = x - light_.x * height * .4f, .y = foot - height * .02f, .radius = height * .7f, .aspect = .22f};
    canvas_.fill(0, shadow.y - height, n_, shadow.y + height, [&](float px, float py, const Rgb& old) {
      const float q = std::hypot((px - shadow.x) / shadow.radius, (py - shadow.y) / (shadow.radius * shadow.aspect));
      return old * (1 - .6f * (1 - smooth_step(.3f, 1.2f, q)));
    });
    if (random_.uniform() < .45) {
      Leaf ball = leaf(x, foot - height * .45f, height * .5f);
      ball.sides = 0, ball.wobble *= .2f, ball.aspect = uniform(.8, 1), ball.dome = .95f, ball.shadow = 0,
      ball.gloss = uniform(0, .9);
      paint_leaf(canvas_, ball, surface, light_);
      return;
    }
    const Noise profile(random_());
    const float girth = uniform(.2, .5), waist = uniform(0, .5), gloss = uniform(0, .5);
    canvas_.fill(x - height, foot - height, x + height, foot + height * .1f, [&](float px, float py, const Rgb& old) {
      const float side = (px - x) / height;
      // The foot bulges towards the viewer, as a circle seen from above does.
      const float up = (foot - py) / height + .12f * std::sqrt(std::max(0.f, girth * girth - side * side));
      if (up < 0 || up > 1) return old;
      const float wide =
          girth * (1 + waist * profile.fractal(up * 2, .5f, 2) - .3f * waist * smooth_step(.6f, .9f, up));
      const float u = side / wide;
      if (std::abs(u) >= 1) return old;
      const float nz = std::sqrt(1 - u * u), facing = std::max(0.f, u * light_.x + nz * light_.z);
      const float shine = gloss * std::pow(std::max(0.f, 2 * facing * nz - light_.z), 20.f);
      return surface.at(std::asin(u) * wide * height, py) * (.2f + .9f * facing) + Rgb{shine, shine, shine};
    });
  }

  void close_up() {
    const Material under = material(.3f);
    canvas_.fill(0, 0, n_, n_, [&](float x, float y, const Rgb&) { return under.at(x, y) * .6f; });
    const float least = uniform(.006, .03);
    leaves(int(random_.integer(200, 700)), 0, n_, least * n_, .35f * n_, 1);
    if (random_.uniform() < .7) {  // what lies behind is out of focus
      blur(canvas_, uniform(2, 12) * n_ / 512);
      leaves(int(random_.integer(3, 60)), 0, n_, least * 2 * n_, .3f * n_, 1);
    }
  }

  Random random_;
  Palette palette_;
  Canvas canvas_;
  float n_;
  Light light_{};
  Material pavement_ = material(Material::Kind::speckle, .2f);
};

// Exposure, white balance and vignette, then the sRGB curve.
Image photograph(const Canvas& canvas, Random& random) {
  double mean = 0;
  for (const Rgb& p : canvas.pixels) mean += .2126 * p.r + .7152 * p.g + .0722 * p.b;
  mean /= double(canvas.pixels.size());
  const float gain = float(random.uniform(.13, .34) / std::max(mean, .01));
  const float warmth = float(random.normal()) * .06f, fall = float(random.uniform(0, .5));
  const Rgb tint{gain * (1 + warmth), gain, gain * (1 - warmth)};
  Image image(canvas.width, canvas.height);
  for (int y = 0; y < canvas.height; ++y)
    for (int x = 0; x < canvas.width; ++x) {
      const float dx = 2 * (float(x) + .5f) / float(canvas.width) - 1,
                  dy = 2 * (float(y) + .5f) / float(canvas.height) - 1;
      const Rgb p = canvas.pixels[size_t(y) * canvas.width + x] * tint * (1 - fall * .25f * (dx * dx + dy * dy));
      const float light[3]{p.r, p.g, p.b};
      for (int c = 0; c < 3; ++c) {
        const float v = 1.1f * light[c] / (1 + .1f * light[c]);  // highlights roll off
        const float curved = v <= .0031308f ? 12.92f * v : 1.055f * std::pow(v, 1 / 2.4f) - .055f;
        image.at(x, y)[c] = uint8_t(std::lround(std::clamp(curved, 0.f, 1.f) * 255));
      }
    }
  return image;
}

// What a camera's picture style does: pulls the spread of lightness towards that of photographs, colours staying.
void set_contrast(Image& image, Random& random) {
  const auto luma = [&](size_t i) { return .299 * image.rgb[i] + .587 * image.rgb[i + 1] + .114 * image.rgb[i + 2]; };
  double sum = 0, squares = 0;
  for (size_t i = 0; i < image.rgb.size(); i += 3) sum += luma(i), squares += luma(i) * luma(i);
  const double n = double(image.rgb.size()) / 3, mean = sum / n, deviation = std::sqrt(squares / n - mean * mean);
  const double factor = std::clamp(random.uniform(40, 75) / std::max(deviation, 1.), .9, 2.);
  for (size_t i = 0; i < image.rgb.size(); i += 3) {
    const double change = (factor - 1) * (luma(i) - mean);
    for (size_t c = i; c < i + 3; ++c) image.rgb[c] = uint8_t(std::clamp(image.rgb[c] + change + .5, 0., 255.));
  }
}

void add_grain(Image& image, Random& random) {
  const double read = random.uniform(.3, 1.5), shot = random.uniform(0, .25);
  for (uint8_t& v : image.rgb)
    v = uint8_t(std::clamp(v + random.normal() * (read + shot * std::sqrt(double(v))) + .5, 0., 255.));
}

}  // namespace

Image draw_scene(int size, uint64_t seed) {
  TT_CHECK(size >= 16 && size <= 4096, ShapeError, "a scene of ", size, "x", size, ": expected 16 to 4096");
  // Drawn at twice the size: shrinking smooths the edges as a lens does.
  Canvas canvas = Scene(2 * size, seed).draw();
  Random camera(seed, 1);
  Image image = resize(photograph(canvas, camera), size, size, Filter::bilinear);
  set_contrast(image, camera);
  add_grain(image, camera);
  return image;
}

}  // namespace telltale
