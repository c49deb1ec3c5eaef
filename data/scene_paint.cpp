#include "data/scene_paint.h"

#include <cmath>
#include <numbers>

namespace telltale {

namespace {

// The outline's radius in a direction, as a share of the leaf's.
float outline(const Leaf& leaf, const Noise& noise, float angle) {
  float r = 1;
  if (leaf.sides > 0) {
    const float step = 2 * std::numbers::pi_v<float> / float(leaf.sides);
    const float within = angle - step * std::floor(angle / step) - step / 2;
    r = std::cos(step / 2) / std::cos(within);
  }
  if (leaf.wobble > 0) r *= 1 + leaf.wobble * noise.fractal(2 * std::cos(angle) + 9, 2 * std::sin(angle), 3);
  return r;
}

void box_blur_line(const Rgb* from, Rgb* to, int count, int stride, int radius) {
  const auto at = [&](int i) { return from[size_t(std::clamp(i, 0, count - 1)) * stride]; };
  Rgb sum;
  for (int i = -radius; i <= radius; ++i) sum = sum + at(i);
  for (int i = 0; i < count; ++i) {
    to[size_t(i) * stride] = sum * (1.f / float(2 * radius + 1));
    sum = sum + at(i + radius + 1) + at(i - radius) * -1;
  }
}

}  // namespace

float draw_radius(Random& random, float low, float high) {
  const double a = 1 / double(low * low), b = 1 / double(high * high);
  return float(1 / std::sqrt(random.uniform(b, a)));
}

void paint_leaf(Canvas& canvas, const Leaf& leaf, const Material& material, const Light& light) {
  const Noise noise(leaf.seed);
  const float c = std::cos(leaf.angle), s = std::sin(leaf.angle);
  // Distance from the middle, 1 on the outline, and where that is in the leaf's own axes.
  struct Place {
    float q, u, v;
  };
  const auto place = [&](float x, float y) {
    const float u = ((x - leaf.x) * c + (y - leaf.y) * s) / leaf.radius;
    const float v = ((y - leaf.y) * c - (x - leaf.x) * s) / (leaf.radius * leaf.aspect);
    const float length = std::sqrt(u * u + v * v);
    if (length > 2) return Place{length, u, v};
    return Place{length / outline(leaf, noise, std::atan2(v, u)), u, v};
  };
  const float reach = leaf.radius * (1.05f + leaf.wobble), drop = leaf.radius * .12f;
  if (leaf.shadow > 0) {
    const float dx = -light.x * drop, dy = -light.y * drop, far = reach * 1.3f;
    canvas.fill(leaf.x + dx - far, leaf.y + dy - far, leaf.x + dx + far + 1, leaf.y + dy + far + 1,
                [&](float x, float y, const Rgb& old) {
                  return old * (1 - leaf.shadow * (1 - smooth_step(.85f, 1.2f, place(x - dx, y - dy).q)));
                });
  }
  canvas.fill(leaf.x - reach, leaf.y - reach, leaf.x + reach + 1, leaf.y + reach + 1,
              [&](float x, float y, const Rgb& old) {
                const Place p = place(x, y);
                if (p.q >= 1) return old;
                const float scale = leaf.dome * p.q / std::max(1e-6f, std::sqrt(p.u * p.u + p.v * p.v));
                const float nu = p.u * scale, nv = p.v * scale, nx = nu * c - nv * s, ny = nu * s + nv * c;
                const float nz = std::sqrt(std::max(.02f, 1 - nx * nx - ny * ny));
                const float facing = std::max(0.f, nx * light.x + ny * light.y + nz * light.z);
                const float shine = leaf.gloss * std::pow(std::max(0.f, 2 * facing * nz - light.z), 24.f);
                return material.at(x - leaf.x, y - leaf.y) * (.3f + .9f * facing) + Rgb{shine, shine, shine};
              });
}

void blur(Canvas& canvas, float sigma) {
  const int radius = int(std::lround(sigma));
  if (radius < 1) return;
  Canvas other = canvas;
  for (int pass = 0; pass < 3; ++pass) {
    for (int y = 0; y < canvas.height; ++y) box_blur_line(&canvas.at(0, y), &other.at(0, y), canvas.width, 1, radius);
    for (int x = 0; x < canvas.width; ++x)
      box_blur_line(&other.at(x, 0), &canvas.at(x, 0), canvas.height, canvas.width, radius);
  }
}

}  // namespace telltale
