#include "models/synthesis/settings.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <filesystem>

#include "base/choice.h"
#include "base/outputs.h"
#include "base/sha256.h"
#include "nets/nets.h"

namespace telltale {

namespace {

/// How a generator is told from others: its file's name without ending, or random:SEED.
std::string short_name(const std::string& weights) {
  return SynthSettings::is_random(weights) ? weights : std::filesystem::path(weights).stem().string();
}

}  // namespace

std::vector<std::string> SynthSettings::generators() const {
  if (!painter.empty() && !parse_painters(painter).has(kGeneratorPainter)) return {};
  return telltale::split(weights, ',');
}

void SynthSettings::read_size() {
  const std::string digits = !is_native() ? shape : shape == "native" ? "256" : shape.substr(shape.find(':') + 1);
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), size);
  TT_CHECK(error == std::errc{} && end == digits.data() + digits.size() && size >= 16 && size <= 4096 &&
               (!is_native() || shape == "native" || shape.starts_with("native:")),
           UsageError, "--size ", shape, ": expected a side from 16 to 4096, native, or native:SIDE");
}

bool SynthSettings::is_varied() const {
  const Qualities q = parse_quality(quality, "--quality");
  return !painter.empty() || generators().size() > 1 || blend != "hard" || !past.empty() || !fill_scale.empty() ||
         camera > 0 || q.low < q.high;
}

TreatmentPlan SynthSettings::treatments() const {
  constexpr double kLowestPast = 50, kHighestPast = 98, kSmallest = .4, kLargest = 1;
  TreatmentPlan plan;
  plan.painters = parse_painters(painter.empty() ? kGeneratorPainter : painter);
  plan.blends = parse_mixture(blend, "--blend");
  for (const auto& [name, weight] : plan.blends.parts) blend_named(name);
  for (const std::string& w : generators()) plan.generators.push_back(short_name(w));
  plan.quality = parse_quality(quality, "--quality");
  plan.past = parse_chance(past, "--past", {0, kLowestPast, kHighestPast}, 1, 100);
  plan.camera = camera;
  plan.scale = parse_chance(fill_scale, "--fill-scale", {0, kSmallest, kLargest}, .1, 4);
  return plan;
}

uint64_t SynthSettings::weights_seed(const std::string& weights) {
  const std::string digits = weights.substr(7);
  TT_CHECK(!digits.empty() && digits.size() < 19 && digits.find_first_not_of("0123456789") == std::string::npos,
           UsageError, "--weights ", weights, ": after random: stands a whole number, the seed");
  return std::stoull(digits);
}

std::optional<Shard> SynthSettings::part() const {
  if (!ranks->alone()) return Shard{ranks->rank() + 1, ranks->size()};
  if (shard.empty()) return std::nullopt;
  Shard part{0, 0};
  const char *slash = shard.data() + shard.find('/'), *end = shard.data() + shard.size();
  const bool fits = shard.find('/') != std::string::npos &&
                    std::from_chars(shard.data(), slash, part.index) == std::from_chars_result{slash, std::errc{}} &&
                    std::from_chars(slash + 1, end, part.count) == std::from_chars_result{end, std::errc{}};
  TT_CHECK(fits && part.index >= 1 && part.index <= part.count, UsageError, "--shard ", shard,
           ": must be I/N with I from 1 to N, such as 1/3");
  return part;
}

void add_options(CLI::App& app, SynthSettings& s) {
  auto* photos = app.add_option("--photos", s.photos, "folder of photographs (JPEG, PNG, WebP …), subfolders included");
  app.add_option("--scenes", s.scenes, "draw this many procedural photographs into OUT/photos and take those")
      ->check(CLI::Range(1, 1'000'000))
      ->excludes(photos);
  app.add_option("--out", s.out, "dataset folder to make or to continue")->required();
  app.add_option(
      "--weights", s.weights,
      "generators, separated by commas: safetensors or .pth files, or random:SEED (untrained); default: the one "
      "that ships");
  std::vector<std::string> families;
  for (const GeneratorNet& net : generator_nets()) families.push_back(net.name);
  app.add_option("--family", s.family, "which DeepFillv2 a random generator is; a file is recognised")
      ->check(CLI::IsMember(families));
  app.add_option("--width", s.width, "width of a random generator")->check(CLI::Range(2, 512))->capture_default_str();
  auto* boxes = app.add_option("--boxes", s.boxes, "CSV with ids, labels, boxes and row order");
  app.add_flag("--paper-csv", s.paper_csv, "the CSV is the paper's: its x is the row")->needs(boxes);
  app.add_option("--count", s.count, "take only the first N photographs (or rows of --boxes)")
      ->check(CLI::Range(1, 1'000'000'000));
  app.add_option(
         "--size", s.shape,
         "side of the images, a multiple of 8: photographs are scaled and centre-cropped to it; or native[:SIDE], a "
         "square (of 256) cut out of each at its own resolution, anywhere on its grid of JPEG blocks")
      ->capture_default_str();
  app.add_option(
      "--painter", s.painter,
      "NAME[:WEIGHT],…: who paints, drawn for each image and named in labels.csv; deepfill (the generator), any "
      "painter of data/painters, or the groups inpaint, reprocess, all");
  app.add_option("--blend", s.blend, "NAME[:WEIGHT],… of hard, feather (1 to 8 pixels), poisson: how paint is set in")
      ->capture_default_str();
  app.add_option(
      "--fill-scale", s.fill_scale,
      "P[:LOW:HIGH]: with probability P painted at LOW to HIGH times the image's size (.4 to 1) and scaled in; "
      "not by deepfill");
  app.add_option(
      "--past", s.past,
      "P[:LOW:HIGH]: with probability P a photograph, real or to be painted, is first saved as a JPEG of quality "
      "LOW to HIGH (50 to 98) and read again");
  app.add_option("--camera", s.camera,
                 "probability that a photograph, real or to be painted, first passes through another camera: scale, "
                 "focus, noise, mosaic, denoising, sharpening")
      ->check(CLI::Range(0., 1.));
  app.add_option("--mask-distribution,--mask-law", s.mask_law, "how holes are drawn; a fake's box is its hole's")
      ->check(CLI::IsMember(mask_law_names(true)))
      ->capture_default_str();
  app.add_option("--negatives", s.negatives, "placebo: re-encoded like the fakes; raw: the photograph's own bytes")
      ->check(CLI::IsMember({"placebo", "raw"}))
      ->capture_default_str();
  app.add_option("--quality", s.quality, "JPEG quality of the images, or LOW:HIGH, drawn for each")
      ->capture_default_str();
  app.add_option("--format", s.format, "jpg or png")->check(CLI::IsMember({"jpg", "png"}))->capture_default_str();
  app.add_option("--split", s.split, "train,validation,test as counts or shares; default .7,.15,.15");
  app.add_option("--precision", s.precision,
                 "of the generator's activations; auto: bf16 where the processor is faster in it; tf32 on CUDA only")
      ->check(CLI::IsMember({"auto", "f32", "tf32", "bf16", "f16"}))
      ->capture_default_str();
  auto* sheet = app.add_option("--sheet", s.sheet, "PNG or JPEG to show the first fakes in: original, masked, painted");
  app.add_option("--shard", s.shard,
                 "I/N: make only the I-th of N parts; the command without it finishes what N such runs made")
      ->excludes(sheet);
  app.add_option("--batch", s.batch, "images painted at once; default 4, on a GPU 16")->check(CLI::Range(1, 1024));
}

void check(const SynthSettings& s) {
  TT_CHECK(!s.photos.empty() || s.scenes > 0, UsageError, "give --photos DIR, or --scenes N to draw some");
  TT_CHECK(s.size % 8 == 0, UsageError, "--size ", s.size, ": the generator needs a multiple of 8");
  const TreatmentPlan plan = s.treatments();
  for (const std::string& weights : s.generators()) {
    TT_CHECK(!weights.empty(), UsageError, "--weights ", s.weights, ": a name is missing");
    const std::string name = short_name(weights);
    TT_CHECK(std::count(plan.generators.begin(), plan.generators.end(), name) == 1, UsageError, "--weights ", s.weights,
             ": two are called ", name, ", and labels.csv could not tell them apart; rename one");
    if (!SynthSettings::is_random(weights)) continue;
    const GeneratorNet& net = generator_net(s.family);
    TT_CHECK(s.width % net.width_step == 0, UsageError, "--width ", s.width, ": ", net.name, " takes multiples of ",
             net.width_step);
    SynthSettings::weights_seed(weights);
  }
  TT_CHECK(s.negatives != "raw" || plan.past.probability == 0, UsageError,
           "--negatives raw with --past: the fakes would have a past that the real images lack");
  TT_CHECK(s.negatives != "raw" || s.camera == 0, UsageError,
           "--negatives raw with --camera: the fakes would come from cameras that the real images lack");
  s.split_plan();
  s.part();
  TT_CHECK(s.sheet.empty() || s.sheet.ends_with(".png") || s.sheet.ends_with(".jpg") || s.sheet.ends_with(".jpeg"),
           UsageError, "--sheet ", s.sheet, ": must end in .png, .jpg or .jpeg");
  if (s.sheet.empty()) return;
  std::vector<std::string> inputs;
  if (!s.boxes.empty()) inputs.push_back(s.boxes);
  for (const std::string& weights : s.generators())
    if (!SynthSettings::is_random(weights)) inputs.push_back(weights);
  check_output("--sheet", s.sheet, inputs);
}

std::map<std::string, std::string> treatment_of(const SynthSettings& s) {
  if (!s.is_varied()) return {};
  std::string names;
  for (const std::string& w : s.generators()) names += (names.empty() ? "" : ",") + short_name(w);
  std::map<std::string, std::string> all = {{"painter", s.painter},       {"blend", s.blend},     {"past", s.past},
                                            {"fill_scale", s.fill_scale}, {"quality", s.quality}, {"weights", names}};
  if (s.camera > 0) all["camera"] = cat(s.camera);
  return all;
}

nlohmann::json fingerprint(const SynthSettings& s, const std::string& weights_sha256, bool cuda) {
  const Qualities q = parse_quality(s.quality, "--quality");
  const std::vector<std::string> generators = s.generators();
  const bool drawn = std::any_of(generators.begin(), generators.end(), SynthSettings::is_random);
  nlohmann::json all = {{"scenes", s.scenes},
                        {"weights", weights_sha256},
                        {"family", s.family},
                        {"width", drawn ? s.width : 0},
                        {"boxes", s.boxes.empty() ? "" : sha256_file(s.boxes)},
                        {"paper_csv", s.paper_csv},
                        {"count", s.count},
                        {"size", s.size},
                        {"mask_law", s.mask_law},
                        {"negatives", s.negatives},
                        {"quality", s.format == "png" ? 0 : q.low},
                        {"format", s.format},
                        {"split", s.split},
                        {"seed", s.seed},
                        {"batch", s.batch},
                        {"precision", s.precision},
                        {"device", cuda ? "cuda" : "cpu"}};
  if (s.is_native()) all["native"] = true;
  if (s.is_varied()) all["treatment"] = treatment_of(s);
  return all;
}

}  // namespace telltale
