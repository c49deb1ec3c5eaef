#include "models/synthesis/treatment.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>

#include "base/check.h"
#include "base/choice.h"
#include "base/hash.h"
#include "data/codec.h"
#include "data/compose.h"
#include "data/painters/painter.h"
#include "kernels/device/philox.h"

namespace telltale {
namespace {

double number_of(const std::string& text, const std::string& option, const std::string& whole) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  TT_CHECK(error == std::errc{} && end == text.data() + text.size() && std::isfinite(value), UsageError, option, " ",
           whole, ": '", text, "' is not a number");
  return value;
}

Grey scaled(const Grey& mask, int width, int height) {
  Grey out(width, height);
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x) {
      // Hole if any of the pixels that it stands for is.
      const int u = int(int64_t(x) * mask.width / width), v = int(int64_t(y) * mask.height / height);
      const int u_end = std::max(u + 1, int((int64_t(x + 1) * mask.width + width - 1) / width)),
                v_end = std::max(v + 1, int((int64_t(y + 1) * mask.height + height - 1) / height));
      uint8_t any = 0;
      for (int b = v; b < std::min(v_end, mask.height); ++b)
        for (int a = u; a < std::min(u_end, mask.width); ++a)
          any |= mask.pixels[size_t(b) * size_t(mask.width) + size_t(a)];
      out.pixels[size_t(y) * size_t(width) + size_t(x)] = any;
    }
  return out;
}

}  // namespace

const std::string& Mixture::at(double u) const {
  double sum = 0;
  for (const auto& [name, weight] : parts) sum += weight;
  double left = u * sum;
  for (const auto& [name, weight] : parts)
    if ((left -= weight) < 0) return name;
  return parts.back().first;
}

bool Mixture::has(const std::string& name) const {
  return std::any_of(parts.begin(), parts.end(), [&](const auto& part) { return part.first == name; });
}

Mixture parse_mixture(const std::string& text, const std::string& option) {
  Mixture mixture;
  for (const std::string& part : split(text, ',')) {
    const std::vector<std::string> pieces = split(part, ':');
    TT_CHECK(pieces.size() <= 2 && !pieces[0].empty(), UsageError, option, " ", text, ": '", part,
             "' is not NAME or NAME:WEIGHT");
    const double weight = pieces.size() == 2 ? number_of(pieces[1], option, text) : 1;
    TT_CHECK(weight > 0, UsageError, option, " ", text, ": the weight of ", pieces[0], " must be above 0");
    mixture.parts.emplace_back(pieces[0], weight);
  }
  return mixture;
}

Mixture parse_painters(const std::string& text) {
  std::map<std::string, double> weights;
  std::vector<std::string> known{kGeneratorPainter};
  std::map<std::string, std::vector<std::string>> groups;
  groups["all"].emplace_back(kGeneratorPainter);
  for (const Painter& p : painters()) {
    known.emplace_back(p.name);
    groups["all"].emplace_back(p.name);
    if (p.kind != PainterKind::splice) groups[name_of(p.kind)].emplace_back(p.name);
  }
  for (const auto& [name, weight] : parse_mixture(text, "--painter").parts) {
    if (const auto group = groups.find(name); group != groups.end()) {
      for (const std::string& member : group->second) weights[member] += weight / double(group->second.size());
      continue;
    }
    std::string names;
    for (const std::string& n : known) names += (names.empty() ? "" : ", ") + n;
    TT_CHECK(std::find(known.begin(), known.end(), name) != known.end(), UsageError, "--painter ", text,
             ": no painter '", name, "'; known are ", names, ", and the groups inpaint, reprocess, all");
    weights[name] += weight;
  }
  return {{weights.begin(), weights.end()}};
}

Qualities parse_quality(const std::string& text, const std::string& option) {
  const std::vector<std::string> parts = split(text, ':');
  TT_CHECK(parts.size() <= 2, UsageError, option, " ", text, ": expected Q or LOW:HIGH");
  const double low = number_of(parts[0], option, text), high = number_of(parts.back(), option, text);
  TT_CHECK(low >= 1 && high <= 100 && low <= high && low == std::floor(low) && high == std::floor(high), UsageError,
           option, " ", text, ": JPEG qualities are whole numbers from 1 to 100, the lower first");
  return {int(low), int(high)};
}

Chance parse_chance(const std::string& text, const std::string& option, Chance standard, double least, double most) {
  if (text.empty()) return {0, standard.low, standard.high};
  const std::vector<std::string> parts = split(text, ':');
  TT_CHECK(parts.size() == 1 || parts.size() == 3, UsageError, option, " ", text, ": expected P or P:LOW:HIGH");
  Chance chance{number_of(parts[0], option, text), standard.low, standard.high};
  TT_CHECK(chance.probability >= 0 && chance.probability <= 1, UsageError, option, " ", text,
           ": the probability must lie from 0 to 1");
  if (parts.size() == 3) {
    chance.low = number_of(parts[1], option, text);
    chance.high = number_of(parts[2], option, text);
    TT_CHECK(chance.low >= least && chance.low <= chance.high && chance.high <= most, UsageError, option, " ", text,
             ": the bounds must lie from ", least, " to ", most, ", the lower first");
  }
  return chance;
}

Treatment draw_treatment(const TreatmentPlan& plan, uint64_t seed, const std::string& id, bool fake) {
  // A stream for each question: one more question changes no other's answer.
  const auto about = [&](const char* what) { return Random(seed, fnv1a(cat(what, " ", id))); };
  Treatment t;
  Random quality = about("quality"), past = about("past"), other = about("other past");
  t.quality = int(quality.integer(plan.quality.low, plan.quality.high));
  const auto draw_past = [&](Random& random) {
    const bool has = random.uniform() < plan.past.probability;
    const int drawn = int(random.integer(int64_t(plan.past.low), int64_t(plan.past.high)));
    return has ? drawn : 0;
  };
  t.past = draw_past(past);
  t.camera = about("camera").uniform() < plan.camera;
  if (!fake) return t;
  t.other_past = draw_past(other);
  t.painter = plan.painters.at(about("painter").uniform());
  t.told = t.painter;
  if (t.painter == kGeneratorPainter && plan.generators.size() > 1) {
    t.generator = int(about("generator").integer(0, int64_t(plan.generators.size()) - 1));
    t.told += ":" + plan.generators[size_t(t.generator)];
  }
  t.blend = blend_named(plan.blends.at(about("blend").uniform()));
  t.feather = about("feather").uniform(1, 8);
  Random scale = about("scale");
  const bool other_size = scale.uniform() < plan.scale.probability;
  const double drawn = plan.scale.low * std::pow(plan.scale.high / plan.scale.low, scale.uniform());
  if (other_size) t.scale = drawn;
  return t;
}

Image with_past(const Image& photo, int quality) {
  return quality == 0 ? photo : decode_image(encode_jpeg(photo, quality), "a photograph's past");
}

Image paint_image(const Image& photo, const Grey& mask, const Treatment& t, const Image* other, uint64_t seed,
                  const std::string& id) {
  const Painter& by = painter(t.painter);
  const Picture donor = other ? to_picture(*other) : Picture();
  Random random(seed, fnv1a("paint " + id));
  const bool goes_on = by.kind != PainterKind::inpaint;
  if (t.scale == 1)
    return set_in(photo, paint(by, {to_picture(photo), mask, other ? &donor : nullptr}, random).rgb, mask, t, goes_on);
  const int width = std::max(8, int(std::lround(photo.width * t.scale))),
            height = std::max(8, int(std::lround(photo.height * t.scale)));
  const Picture picture = to_picture(resize(photo, width, height, Filter::lanczos));
  const Picture small = paint(by, {picture, scaled(mask, width, height), other ? &donor : nullptr}, random);
  const Image fill = resize(to_image(small), photo.width, photo.height, Filter::lanczos);
  return set_in(photo, to_picture(fill).rgb, mask, t, goes_on);
}

Image set_in(const Image& photo, std::vector<float> fill, const Grey& mask, const Treatment& t, bool goes_on) {
  if (t.blend == Blend::hard) return compose(photo, fill, mask);
  Picture paint(0, 0);
  paint.width = photo.width, paint.height = photo.height, paint.rgb = std::move(fill);
  return compose(photo, blend(to_picture(photo), paint, mask, t.blend, t.feather, goes_on).rgb, mask);
}

}  // namespace telltale
