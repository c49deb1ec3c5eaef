#include "models/synthesis/settings.h"

#include <CLI/CLI.hpp>
#include <charconv>
#include <filesystem>

#include "base/outputs.h"
#include "base/sha256.h"
#include "nets/nets.h"

namespace telltale {

uint64_t SynthSettings::weights_seed() const {
  const std::string digits = weights.substr(7);
  TT_CHECK(!digits.empty() && digits.size() < 19 && digits.find_first_not_of("0123456789") == std::string::npos,
           UsageError, "--weights ", weights, ": after random: stands a whole number, the seed");
  return std::stoull(digits);
}

std::optional<Shard> SynthSettings::part() const {
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
  app.add_option("--weights", s.weights,
                 "generator: a safetensors or .pth file, or random:SEED (untrained); default: the one that ships");
  std::vector<std::string> families;
  for (const GeneratorNet& net : generator_nets()) families.push_back(net.name);
  app.add_option("--family", s.family, "which DeepFillv2 a random generator is; a file is recognised")
      ->check(CLI::IsMember(families));
  app.add_option("--width", s.width, "width of a random generator")->check(CLI::Range(2, 512))->capture_default_str();
  auto* boxes = app.add_option("--boxes", s.boxes, "CSV with ids, labels, boxes and row order");
  app.add_flag("--paper-csv", s.paper_csv, "the CSV is the paper's: its x is the row")->needs(boxes);
  app.add_option("--count", s.count, "take only the first N photographs (or rows of --boxes)")
      ->check(CLI::Range(1, 1'000'000'000));
  app.add_option("--size", s.size,
                 "side of the images, a multiple of 8; photographs are scaled and centre-cropped to it")
      ->check(CLI::Range(16, 4096))
      ->capture_default_str();
  app.add_option("--mask-law", s.mask_law, "how holes are drawn; a fake's box is its hole's")
      ->check(CLI::IsMember(mask_law_names()))
      ->capture_default_str();
  app.add_option("--negatives", s.negatives, "placebo: re-encoded like the fakes; raw: the photograph's own bytes")
      ->check(CLI::IsMember({"placebo", "raw"}))
      ->capture_default_str();
  app.add_option("--quality", s.quality, "JPEG quality")->check(CLI::Range(1, 100))->capture_default_str();
  app.add_option("--format", s.format, "jpg or png")->check(CLI::IsMember({"jpg", "png"}))->capture_default_str();
  app.add_option("--split", s.split, "train,validation,test as counts or shares; default .7,.15,.15");
  app.add_option("--precision", s.precision, "of the generator's activations; tf32 on CUDA only")
      ->check(CLI::IsMember({"f32", "tf32", "bf16", "f16"}))
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
  if (s.random_weights()) {
    const GeneratorNet& net = generator_net(s.family);
    TT_CHECK(s.width % net.width_step == 0, UsageError, "--width ", s.width, ": ", net.name, " takes multiples of ",
             net.width_step);
    s.weights_seed();
  }
  s.split_plan();
  s.part();
  TT_CHECK(s.sheet.empty() || s.sheet.ends_with(".png") || s.sheet.ends_with(".jpg") || s.sheet.ends_with(".jpeg"),
           UsageError, "--sheet ", s.sheet, ": must end in .png, .jpg or .jpeg");
  if (s.sheet.empty()) return;
  std::vector<std::string> inputs;
  for (const std::string& input : {s.boxes, s.random_weights() ? "" : s.weights})
    if (!input.empty()) inputs.push_back(input);
  check_output("--sheet", s.sheet, inputs);
  // A sheet of before belongs to a dataset that was begun.
  namespace fs = std::filesystem;
  TT_CHECK(!fs::exists(s.sheet) || fs::exists(s.out + "/synth.json"), UsageError, "--sheet ", s.sheet,
           ": is there already, and ", s.out, " is not begun: remove it or name another file");
}

nlohmann::json fingerprint(const SynthSettings& s, const std::string& weights_sha256, bool cuda) {
  return {{"scenes", s.scenes},
          {"weights", weights_sha256},
          {"family", s.family},
          {"width", s.random_weights() ? s.width : 0},
          {"boxes", s.boxes.empty() ? "" : sha256_file(s.boxes)},
          {"paper_csv", s.paper_csv},
          {"count", s.count},
          {"size", s.size},
          {"mask_law", s.mask_law},
          {"negatives", s.negatives},
          {"quality", s.format == "png" ? 0 : s.quality},
          {"format", s.format},
          {"split", s.split},
          {"seed", s.seed},
          {"batch", s.batch},
          {"precision", s.precision},
          {"device", cuda ? "cuda" : "cpu"}};
}

}  // namespace telltale
