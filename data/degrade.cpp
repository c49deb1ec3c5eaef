#include "data/degrade.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"
#include "data/codec.h"
#include "data/painters/picture.h"
#include "data/webp_write.h"

namespace telltale {
namespace {

Grey resized(const Grey& mask, int width, int height) {
  Image three(mask.width, mask.height);
  for (size_t i = 0; i < mask.pixels.size(); ++i) std::fill_n(&three.rgb[3 * i], 3, mask.pixels[i]);
  three = resize(three, width, height, Filter::bilinear);
  Grey out(width, height);
  for (size_t i = 0; i < out.pixels.size(); ++i) out.pixels[i] = three.rgb[3 * i];
  return out;
}

void rescale(Image& image, Grey& mask, const Degradation& d, int least, Random& random) {
  const int shorter = std::min(image.width, image.height);
  const double low = std::min(1., std::max(d.resize_low, double(least) / shorter));
  const double scale = std::exp2(random.uniform(std::log2(low), std::log2(std::max(low, d.resize_high))));
  const Filter filter = random.uniform() < .5 ? Filter::bilinear : Filter::lanczos;
  const int width = std::max(least, int(std::lround(image.width * scale))),
            height = std::max(least, int(std::lround(image.height * scale)));
  image = resize(image, width, height, filter);
  mask = resized(mask, width, height);
}

void lose_edges(Image& image, Grey& mask, int least, Random& random) {
  const Box kept{int(random.integer(0, std::min(7, image.width - least))),
                 int(random.integer(0, std::min(7, image.height - least))), image.width, image.height};
  image = crop(image, kept);
  mask = crop(mask, kept);
}

/// p + amount · (p − its blur): sharper above 0, the blur itself at −1.
Image filtered(const Image& image, double sigma, double amount) {
  Picture p = to_picture(image);
  const Picture smooth = gaussian_blur(p, sigma);
  for (size_t i = 0; i < p.rgb.size(); ++i) p.rgb[i] += float(amount) * (p.rgb[i] - smooth.rgb[i]);
  return to_image(p);
}

void add_noise(Image& image, double levels, Random& random) {
  for (uint8_t& v : image.rgb) v = uint8_t(std::clamp(std::lround(v + levels * random.normal()), 0l, 255l));
}

void make_grey(Image& image) {
  for (size_t i = 0; i < image.rgb.size(); i += 3)
    std::fill_n(&image.rgb[i], 3,
                uint8_t((299 * image.rgb[i] + 587 * image.rgb[i + 1] + 114 * image.rgb[i + 2] + 500) / 1000));
}

}  // namespace

void degrade(Image& image, Grey& mask, const Degradation& d, int least, Random& random) {
  TT_CHECK(image.width == mask.width && image.height == mask.height && least <= std::min(image.width, image.height),
           ShapeError, "degrade: an image of ", image.width, "x", image.height, " with a mask of ", mask.width, "x",
           mask.height, ", not to become smaller than ", least);
  const auto chance = [&](double p) { return random.uniform() < p; };
  const auto save = [&](auto encode) {
    const int quality = int(random.integer(d.jpeg_low, d.jpeg_high));
    image = decode_image(encode(image, quality), "a degraded picture");
  };
  const auto jpeg = [](const Image& i, int quality) { return encode_jpeg(i, quality); };
  if (chance(d.resize)) rescale(image, mask, d, least, random);
  if (chance(d.crop)) lose_edges(image, mask, least, random);
  if (chance(d.blur)) image = filtered(image, random.uniform(.3, 1.2), -1);
  if (chance(d.sharpen)) image = filtered(image, random.uniform(.6, 1.6), random.uniform(.2, 1));
  if (chance(d.noise)) add_noise(image, random.uniform(.5, 5), random);
  if (chance(d.grey)) make_grey(image);
  if (chance(d.twice)) save(jpeg);
  // A recipe without it draws nothing for it, so that older runs repeat.
  if (d.webp > 0 && chance(d.webp)) return save(encode_webp);
  if (chance(d.jpeg)) save(jpeg);
}

}  // namespace telltale
