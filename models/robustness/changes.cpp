// The changes of the sweep.
#include <algorithm>
#include <cmath>

#include "base/check.h"
#include "base/hash.h"
#include "data/codec.h"
#include "data/painters/picture.h"
#include "data/webp_write.h"
#include "kernels/device/philox.h"
#include "models/robustness/robustness.h"

namespace telltale {
namespace {

using Edit = std::function<void(Image&, uint64_t key)>;

/// Of a change that moves no pixel.
std::function<void(Labelled&)> in_place(const Edit& edit) {
  return [edit](Labelled& l) { edit(l.image, fnv1a(l.label.id)); };
}

void save_jpeg(Image& image, int quality) { image = decode_image(encode_jpeg(image, quality), "a changed picture"); }
void save_webp(Image& image, int quality) { image = decode_image(encode_webp(image, quality), "a changed picture"); }

void rescale(Labelled& l, double scale) {
  const Image before = std::move(l.image);
  const auto scaled = [&](int length) { return std::max(8, int(std::lround(length * scale))); };
  l.image = resize(before, scaled(before.width), scaled(before.height), Filter::bilinear);
  const double x = double(l.image.width) / before.width, y = double(l.image.height) / before.height;
  Box& b = l.label.box;
  b = {int(std::lround(b.x_min * x)), int(std::lround(b.y_min * y)), int(std::lround(b.x_max * x)),
       int(std::lround(b.y_max * y))};
}

/// Keeps a window that lies anywhere, off the grid of JPEG blocks as often as a crop by hand is.
void cut(Labelled& l, double share) {
  Random random(fnv1a(l.label.id), 1);
  const int width = std::max(8, int(l.image.width * share)), height = std::max(8, int(l.image.height * share));
  const int x = int(random.integer(0, l.image.width - width)), y = int(random.integer(0, l.image.height - height));
  l.image = crop(l.image, {x, y, x + width, y + height});
  const Box inner = intersect(l.label.box, {x, y, x + width, y + height});
  l.label.box = inner.empty() ? Box{} : Box{inner.x_min - x, inner.y_min - y, inner.x_max - x, inner.y_max - y};
}

void add_noise(Image& image, double levels, uint64_t key) {
  Random random(key, 2);
  for (uint8_t& v : image.rgb) v = uint8_t(std::clamp(std::lround(v + levels * random.normal()), 0l, 255l));
}

void apply_gamma(Image& image, double gamma) {
  for (uint8_t& v : image.rgb) v = uint8_t(std::lround(255 * std::pow(v / 255., gamma)));
}

std::vector<Change> make_changes() {
  std::vector<Change> all = {{"none", "0", [](Labelled&) {}}};
  for (const int q : {95, 90, 85, 75, 65, 50})
    all.push_back({"JPEG", cat(q), in_place([q](Image& i, uint64_t) { save_jpeg(i, q); })});
  for (const int q : {85, 75, 60})
    all.push_back({"JPEG twice", cat(q, ", 90"), in_place([q](Image& i, uint64_t) {
                     save_jpeg(i, q);
                     save_jpeg(i, 90);
                   })});
  for (const int q : {90, 75, 50})
    all.push_back({"WebP", cat(q), in_place([q](Image& i, uint64_t) { save_webp(i, q); })});
  for (const double scale : {2., 1.5, .75, .5})
    all.push_back({"resize", cat(scale), [scale](Labelled& l) { rescale(l, scale); }});
  for (const double share : {.9, .75, .5}) all.push_back({"crop", cat(share), [share](Labelled& l) { cut(l, share); }});
  for (const double sigma : {.5, 1., 2.})
    all.push_back({"blur", cat(sigma),
                   in_place([sigma](Image& i, uint64_t) { i = to_image(gaussian_blur(to_picture(i), sigma)); })});
  for (const double levels : {2., 5., 10.})
    all.push_back({"noise", cat(levels), in_place([levels](Image& i, uint64_t key) { add_noise(i, levels, key); })});
  for (const double gamma : {.5, .75, 1.5, 2.})
    all.push_back({"gamma", cat(gamma), in_place([gamma](Image& i, uint64_t) { apply_gamma(i, gamma); })});
  for (const auto& [scale, quality] : {std::pair(.9, 85), {.75, 75}})
    all.push_back({"resize, JPEG", cat(scale, ", ", quality), [scale = scale, quality = quality](Labelled& l) {
                     rescale(l, scale);
                     save_jpeg(l.image, quality);
                   }});
  return all;
}

}  // namespace

const std::vector<Change>& robustness_changes() {
  static const std::vector<Change> changes = make_changes();
  return changes;
}

}  // namespace telltale
