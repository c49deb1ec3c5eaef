#include "models/report/page.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/base64.h"
#include "base/check.h"
#include "base/json_text.h"
#include "data/codec.h"
#include "data/png.h"
#include "kernels/parts/math.h"
#include "models/calibration.h"
#include "models/report/page_files.h"

namespace telltale {
namespace {

using nlohmann::ordered_json;

constexpr int kSides[] = {320, 256, 192, 160, 128, 96, 64};
constexpr int kQuality = 82;
constexpr double kBytesPerPixel = 0.33;  // of a JPEG at that quality and its layers
constexpr size_t kMostPoints = 400;
constexpr int kMapLevels = 32;  // more would cost bytes that no eye sees

/// Rounded to so many decimals, so that the file holds no digits that nobody sees.
double rounded(double value, int decimals) {
  const double scale = std::pow(10, decimals);
  return std::round(value * scale) / scale;
}

ordered_json number(double value, int decimals = 5) {
  return std::isfinite(value) ? ordered_json(rounded(value, decimals)) : ordered_json();
}

ordered_json json_of(const RealBox& b) {
  return {rounded(b.x_min, 1), rounded(b.y_min, 1), rounded(b.x_max, 1), rounded(b.y_max, 1)};
}

/// At most kMostPoints of so many points, evenly, the first and the last among them.
std::vector<size_t> thinned(size_t points) {
  std::vector<size_t> kept;
  const size_t count = std::min(points, kMostPoints);
  for (size_t i = 0; i < count; ++i) kept.push_back(count == 1 ? 0 : i * (points - 1) / (count - 1));
  return kept;
}

/// Base64 takes four characters for three bytes.
size_t in_file(size_t bytes) { return (bytes + 2) / 3 * 4; }

Image shrunk(const Image& picture, int side) {
  const int longer = std::max(picture.width, picture.height);
  if (longer <= side) return picture;
  const auto scaled = [&](int length) { return std::max(1, int(std::lround(double(length) * side / longer))); };
  return resize(picture, scaled(picture.width), scaled(picture.height), Filter::bilinear);
}

/// How much a reader gains from the picture: wrong calls first, the surest of them before others, then by probability.
double worth(const PageEntry& e, double threshold) {
  const bool called = e.verdict == "uncertain" ? e.probability >= threshold : e.verdict == "fake";
  if (e.fake && *e.fake != called) return 2 + std::abs(e.probability - threshold);
  return e.probability;
}

ordered_json json_of(const PageEntry& e) {
  ordered_json j{{"name", e.name}, {"width", e.width}, {"height", e.height}};
  j["probability"] = rounded(e.probability, 6);
  j["verdict"] = e.verdict;
  if (!e.split.empty()) j["split"] = e.split;
  if (e.fake) j["fake"] = *e.fake;
  if (e.box) j["box"] = json_of(*e.box);
  if (e.truth) j["truth"] = json_of(*e.truth);
  if (e.box && e.truth) j["iou"] = rounded(iou(*e.box, *e.truth), 4);
  if (!e.remarks.empty()) j["remarks"] = e.remarks;
  return j;
}

void replace(std::string& text, std::string_view mark, std::string_view by) {
  const size_t at = text.find(mark);
  TT_CHECK(at != text.npos, Error, "the report's page lacks its mark ", mark);
  text.replace(at, mark.size(), by);
}

/// As it may stand in a script element, whatever names it holds.
std::string script_text(const ordered_json& json) {
  std::string text;
  for (const char c : json_text(json)) c == '<' ? text += "\\u003c" : text += c;
  return text;
}

}  // namespace

std::string_view page_file(const std::string& name) {
  for (const EmbeddedFile& file : page_files())
    if (std::string_view(file.path).ends_with("/" + name)) return file.text;
  throw Error(cat("no page file ", name, " was built in"));
}

std::vector<uint8_t> layers_png(const PageMap* map, const Grey* mask, int longest) {
  Image layers = map ? Image(map->width, map->height) : Image(mask->width, mask->height);
  for (size_t i = 0; map && i < map->values.size(); ++i) layers.rgb[3 * i] = uint8_t(std::lround(255 * map->values[i]));
  layers = shrunk(layers, longest);
  for (size_t i = 0; i < layers.rgb.size(); i += 3)
    layers.rgb[i] = uint8_t((layers.rgb[i] * (kMapLevels - 1) + 127) / 255 * 255 / (kMapLevels - 1));
  if (mask) {
    Image wide(mask->width, mask->height);
    for (size_t i = 0; i < mask->pixels.size(); ++i) wide.rgb[3 * i] = mask->pixels[i];
    const Image fitting = resize(wide, layers.width, layers.height, Filter::bilinear);
    for (size_t i = 0; i < layers.rgb.size(); i += 3) layers.rgb[i + 1] = fitting.rgb[i] >= 128 ? 255 : 0;
  }
  return encode_png(layers.rgb.data(), layers.width, layers.height, 3);
}

int thumbnail_side(int64_t pictures, size_t bytes) {
  const double each = double(bytes) / double(std::max<int64_t>(1, pictures));
  for (const int side : kSides)
    if (side * side * kBytesPerPixel <= each) return side;
  return kSides[std::size(kSides) - 1];
}

ordered_json curves_json(std::span<const Sample> samples) {
  ordered_json j = ordered_json::object();
  const std::vector<RocPoint> roc = roc_curve(samples);
  if (roc.empty()) return j;
  for (const size_t i : thinned(roc.size()))
    j["roc"].push_back({number(roc[i].false_positive_rate), number(roc[i].true_positive_rate),
                        number(sigmoid(std::min(roc[i].logit, 99.0)))});
  j["auc"] = number(roc_auc(samples));
  const std::vector<PrecisionRecallPoint> curve = precision_recall_curve(samples);
  for (const size_t i : thinned(curve.size()))
    j["precision_recall"].push_back(
        {number(curve[i].recall), number(curve[i].precision), number(sigmoid(curve[i].logit))});
  j["average_precision"] = number(average_precision(curve));
  for (const ReliabilityBin& b : reliability(samples))
    j["reliability"].push_back({{"low", number(b.low)},
                                {"high", number(b.high)},
                                {"probability", number(b.mean_probability)},
                                {"fake", number(b.share_fake)},
                                {"count", b.count}});
  j["calibration_error"] = number(calibration_error(samples));
  j["overlaps"] = overlap_histogram(samples);
  return j;
}

Packed packed(const PageItem& item) {
  const PageEntry& e = item.entry;
  const auto box = [](const std::optional<RealBox>& b) { return b ? packed(std::vector<RealBox>{*b}) : Packed(); };
  Packed p{{"name", e.name},       {"split", e.split},     {"width", e.width}, {"height", e.height},
           {"verdict", e.verdict}, {"remarks", e.remarks}, {"map", item.map},  {"mask", item.mask}};
  p["probability"] = packed(std::vector<double>{e.probability});
  p["fake"] = e.fake ? Packed(*e.fake) : Packed();
  p["box"] = box(e.box);
  p["truth"] = box(e.truth);
  p["picture"] = packed(item.picture);
  p["layers"] = packed(item.layers);
  return p;
}

PageItem page_item_in(const Packed& p) {
  const auto box = [](const Packed& b) { return b.is_null() ? std::optional<RealBox>() : values_in<RealBox>(b)[0]; };
  PageEntry e{.name = p.at("name"), .split = p.at("split"), .width = p.at("width"), .height = p.at("height")};
  e.probability = values_in<double>(p.at("probability"))[0];
  e.verdict = p.at("verdict");
  e.remarks = p.at("remarks").get<std::vector<std::string>>();
  if (!p.at("fake").is_null()) e.fake = p.at("fake").get<bool>();
  e.box = box(p.at("box"));
  e.truth = box(p.at("truth"));
  return {std::move(e), values_in<uint8_t>(p.at("picture")), values_in<uint8_t>(p.at("layers")), p.at("map"),
          p.at("mask")};
}

ReportPage::ReportPage(int64_t pictures, size_t bytes) : bytes_(bytes), side_(thumbnail_side(pictures, bytes)) {}

PageItem ReportPage::item(PageEntry entry, const Image& picture, const PageMap* map, const Grey* mask) const {
  TT_CHECK(!map || map->values.size() == size_t(map->width) * size_t(map->height), ShapeError, "a map of ", map->width,
           "x", map->height, " has ", map->values.size(), " values");
  const Image small = shrunk(picture, side_);
  PageItem shown{std::move(entry), encode_jpeg(small, kQuality), {}, map != nullptr, mask != nullptr};
  // Half of the thumbnail's side: a map is smooth.
  if (map || mask) shown.layers = layers_png(map, mask, (std::max(small.width, small.height) + 1) / 2);
  return shown;
}

void ReportPage::add_unread(PageEntry entry) {
  entry.verdict = "unread";
  shown_.push_back({std::move(entry), {}, {}});
}

std::vector<bool> ReportPage::which_fit(double threshold) const {
  std::vector<size_t> order(shown_.size());
  std::iota(order.begin(), order.end(), size_t(0));
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return worth(shown_[a].entry, threshold) > worth(shown_[b].entry, threshold);
  });
  std::vector<bool> fits(shown_.size());
  size_t used = 0;
  for (const size_t i : order) {
    used += in_file(shown_[i].picture.size()) + in_file(shown_[i].layers.size());
    if (used > bytes_) break;
    fits[i] = true;
  }
  return fits;
}

std::string ReportPage::html(const PageHead& head, const ordered_json& curves) const {
  const std::vector<bool> fits = which_fit(head.threshold);
  ordered_json entries = ordered_json::array();
  int64_t omitted = 0;
  for (size_t i = 0; i < shown_.size(); ++i) {
    ordered_json j = json_of(shown_[i].entry);
    omitted += !fits[i];
    if (fits[i] && !shown_[i].picture.empty()) {
      j["picture"] = base64(shown_[i].picture);
      if (!shown_[i].layers.empty()) j["layers"] = base64(shown_[i].layers);
      if (shown_[i].map) j["heat"] = true;
      if (shown_[i].mask) j["mask"] = true;
    }
    entries.push_back(std::move(j));
  }
  ordered_json sheets = ordered_json::array();
  for (const PageSheet& sheet : head.sheets)
    sheets.push_back({{"name", sheet.name}, {"shows", sheet.shows}, {"picture", base64(sheet.jpeg)}});
  ordered_json data{{"sheets", std::move(sheets)},
                    {"title", head.title},
                    {"command", head.command},
                    {"threshold", head.threshold},
                    {"facts", head.facts},
                    {"measures", head.measures},
                    {"side", side_},
                    {"omitted", omitted},
                    {"curves", curves},
                    {"panels", head.panels},
                    {"lines", head.lines},
                    {"summary", head.summary},
                    {"map_name", head.map_name},
                    {"entries", std::move(entries)}};
  std::string page(page_file("report.html"));
  replace(page, "/*STYLE*/", page_file("look.css"));
  replace(page, "/*PICTURE*/", page_file("picture.js"));
  replace(page, "/*CHARTS*/", page_file("charts.js"));
  replace(page, "/*PAGE*/", page_file("report.js"));
  replace(page, "/*DATA*/", script_text(data));
  return page;
}

}  // namespace telltale
