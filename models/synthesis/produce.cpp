#include "models/synthesis/produce.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <map>
#include <optional>
#include <utility>

#include "base/atomic_file.h"
#include "base/deal.h"
#include "base/double_buffer.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "base/packed.h"
#include "base/progress.h"
#include "base/table.h"
#include "data/codec.h"
#include "data/compose.h"
#include "data/jpeg.h"
#include "data/png.h"
#include "models/synthesis/window.h"

namespace telltale {
namespace {

using Clock = std::chrono::steady_clock;
double since(Clock::time_point t) { return std::chrono::duration<double>(Clock::now() - t).count(); }

/// Decibels between two images over the hole; "inf" when equal there.
std::string psnr_in_hole(const Image& before, const Image& after, const Grey& mask) {
  double sum = 0;
  int64_t values = 0;
  for (size_t i = 0; i < mask.pixels.size(); ++i) {
    if (!mask.pixels[i]) continue;
    for (size_t c = 0; c < 3; ++c) {
      const double d = double(before.rgb[i * 3 + c]) - double(after.rgb[i * 3 + c]);
      sum += d * d;
    }
    values += 3;
  }
  if (sum == 0) return "inf";
  return fixed(10 * std::log10(255.0 * 255.0 * double(values) / sum), 4);
}

constexpr size_t kOthersAtOnce = 16;  // images that need no generator, dealt together

class Producer {
 public:
  Producer(const Plan& plan, const SynthSettings& s, DatasetFolder& folder, Generators& generators, TaskPool& pool)
      : plan_(plan),
        s_(s),
        folder_(folder),
        generators_(generators),
        pool_(pool),
        painting_(generators.overlap(), [this](size_t item) { return enqueue(item); }) {
    arrange();
  }
  /// Tasks look at this object: none may outlive it.
  ~Producer() {
    for (auto& [item, f] : ahead_) f.wait();
    for (auto& f : writing_) f.wait();
  }

  ProduceReport run() {
    s_.ranks->any(false);  // each has seen what is missing, before any makes it
    Progress progress("made", report_.rows, "images", report_.rows - missing_);
    const auto start = Clock::now();
    const size_t groups = groups_.size(), share = groups == 0 ? kOthersAtOnce : others_.size() / groups;
    const size_t rest = others_.size() - (groups == 0 ? 0 : share * groups);
    deal<int64_t>(
        *s_.ranks, {.items = groups + (rest + kOthersAtOnce - 1) / kOthersAtOnce, .ahead = size_t(pool_.threads()) + 1},
        [&](size_t item, std::span<const size_t> upcoming) {
          if (interrupted()) return int64_t(0);
          if (item >= groups) {
            submit_others(share * groups + (item - groups) * kOthersAtOnce, kOthersAtOnce);
          } else {
            decode(item);
            for (const size_t next : upcoming)
              if (next < groups && ahead_.size() <= size_t(pool_.threads())) decode(next);
            const bool follows = !upcoming.empty() && upcoming[0] < groups && by_same_program(item, upcoming[0]);
            painting_(item, follows ? upcoming.first(1) : std::span<const size_t>());
            submit_others(item * share, share);
          }
          return std::exchange(settled_, 0);
        },
        [&](size_t, int64_t made) { progress.advance(made); }, [](const int64_t& made) { return cat(made); },
        [](const std::string& made) { return std::stoll(made); });
    s_.ranks->each([&] {
      while (!writing_.empty()) settle();
    });
    report_.stopped = s_.ranks->any(interrupted());
    join();
    report_.seconds = since(start);
    return report_;
  }

 private:
  struct Decoded {
    Group group;
    std::vector<std::optional<Image>> photos;  ///< none: could not be read
  };

  /// The oldest result, or its exception; out of the line either way.
  template <class T>
  static T take(std::deque<std::future<T>>& line) {
    std::future<T> oldest = std::move(line.front());
    line.pop_front();
    return oldest.get();
  }

  /// Rank 0 learns what the others did, and says what they could not.
  void join() {
    if (s_.ranks->alone()) return;
    Packed skipped = Packed::array();
    for (const Skipped& x : folder_.skipped()) skipped.push_back({x.id, x.path, x.reason});
    const Packed mine{{"painted", report_.painted},
                      {"seconds", packed(std::vector{report_.generator_seconds})},
                      {"skipped", skipped}};
    const std::vector<std::string> all = s_.ranks->gather(bytes_of(mine));
    if (!s_.ranks->leads()) return;
    for (size_t r = 1; r < all.size(); ++r) {
      const Packed other = unpacked(all[r]);
      report_.painted += other.at("painted").get<int64_t>();
      report_.generator_seconds += values_in<double>(other.at("seconds"))[0];
      std::vector<Skipped> theirs;
      for (const Packed& x : other.at("skipped")) {
        theirs.push_back({x[0], x[1], x[2]});
        clear_progress_line();
        spdlog::warn("skipped {}", theirs.back().reason);
      }
      folder_.join_skipped(theirs);
    }
    report_.generator_seconds /= double(all.size());
  }

  void arrange() {
    const Shard shard = s_.ranks->alone() ? s_.part().value_or(Shard{}) : Shard{};
    const auto missing = [&](const Row* r) { return !folder_.done(*r); };
    size_t groups = 0, others = 0;
    std::map<int, int64_t> painted;  // by window's side
    for (Group& g : groups_of(plan_, s_.size, generators_.batch(), generators_.worth())) {
      if (!shard.has(groups++)) continue;
      const auto lacking = std::count_if(g.rows.begin(), g.rows.end(), missing);
      missing_ += lacking;
      report_.rows += int64_t(g.rows.size());
      if (lacking == 0) continue;
      painted[g.side] += int64_t(g.rows.size());
      groups_.push_back(std::move(g));
    }
    for (const Row& r : plan_.rows) {
      if (r.treatment.painter == kGeneratorPainter || !shard.has(others++)) continue;
      ++report_.rows;
      if (!missing(&r)) continue;
      ++missing_;
      others_.push_back(&r);
    }
    for (const auto& [side, count] : painted)
      if (side < s_.size) spdlog::info("{} holes need painting only in a window of {}x{}", count, side, side);
  }

  /// As it is before it is painted.
  std::optional<Image> photograph(const Row& r) {
    try {
      Remarks remarks;
      Image photo = framed(r, s_, &remarks);
      for (const std::string& remark : remarks) {
        clear_progress_line();
        spdlog::warn("{}", remark);
      }
      return photo;
    } catch (const DataError& e) {
      folder_.skip(r, e.what());
      return std::nullopt;
    }
  }

  void decode(size_t item) {
    if (ahead_.contains(item)) return;
    ahead_[item] = pool_.submit([this, &group = groups_[item]] {
      Decoded d{group, {}};
      for (const Row* r : group.rows) d.photos.push_back(photograph(*r));
      return d;
    });
  }

  /// Two programs are never in memory, so that only then may a group follow while the one before is painted.
  bool by_same_program(size_t item, size_t next) const {
    return groups_[item].generator == groups_[next].generator && groups_[item].side == groups_[next].side;
  }

  /// A group on its way through the generator.
  struct Painting {
    Group group;
    std::vector<Image> photos;
    std::vector<Grey> masks;
    std::vector<bool> readable;
    Inpainter::Fills fills;
  };

  std::function<void()> enqueue(size_t item) {
    decode(item);
    const Decoded decoded = ahead_.extract(item).mapped().get();
    Painting p{.group = decoded.group, .photos = {}, .masks = {}, .readable = {}, .fills = {}};
    for (size_t i = 0; i < p.group.rows.size(); ++i) {
      p.photos.push_back(decoded.photos[i].value_or(Image(s_.size, s_.size)));
      p.masks.push_back(mask_of(*p.group.rows[i], s_, p.photos.back()));
      p.readable.push_back(decoded.photos[i].has_value());
    }
    const auto start = Clock::now();
    p.fills = generators_.use(p.group.generator).enqueue(p.photos, p.masks, p.group.side);
    report_.generator_seconds += since(start);
    return [this, p = std::move(p)]() mutable { have_written(p); };
  }

  void have_written(Painting& p) {
    const auto start = Clock::now();
    std::vector<std::vector<float>> fills = p.fills();
    report_.generator_seconds += since(start);
    for (size_t i = 0; i < p.group.rows.size(); ++i) {
      const Row* row = p.group.rows[i];
      if (folder_.done(*row)) continue;
      if (!p.readable[i]) {
        ++settled_;
        continue;
      }
      ++report_.painted;
      write([this, row, photo = std::move(p.photos[i]), mask = std::move(p.masks[i]), fill = std::move(fills[i])] {
        write_fake(*row, photo, set_in(photo, fill, mask, row->treatment, false), mask);
      });
    }
  }

  void write_fake(const Row& row, const Image& photo, const Image& fake, const Grey& mask) {
    write_png(folder_.mask_path(row.label.id), mask);
    write_image(row, fake);
    folder_.finished(row, psnr_in_hole(photo, fake, mask));
  }

  /// Real images, and fakes that need no generator.
  void submit_others(size_t first, size_t count) {
    for (size_t i = first; i < std::min(others_.size(), first + count); ++i) {
      const Row* row = others_[i];
      report_.painted += row->label.fake;
      write([this, row] { row->label.fake ? make_fake(*row) : make_real(*row); });
    }
  }

  void make_fake(const Row& row) {
    const std::optional<Image> photo = photograph(row);
    if (!photo) return;
    std::optional<Image> other;
    if (!row.treatment.other.empty()) {
      Row donor = row;  // skipped under the fake's name, should its photograph be unusable
      donor.photo = row.treatment.other;
      donor.treatment.past = row.treatment.other_past;
      other = photograph(donor);
      if (!other) return;
    }
    const Grey mask = mask_of(row, s_, *photo);
    write_fake(row, *photo, paint_image(*photo, mask, row.treatment, other ? &*other : nullptr, s_.seed, row.label.id),
               mask);
  }

  void make_real(const Row& row) {
    if (s_.negatives == "raw") {
      const auto bytes = raw_bytes(row);
      if (!bytes) return;
      write_atomically(folder_.image_path(row.label.id, s_.format),
                       {reinterpret_cast<const char*>(bytes->data()), bytes->size()});
    } else {
      const std::optional<Image> photo = photograph(row);
      if (!photo) return;
      // The fakes' own path with nothing to paint, so that nothing but the hole tells the classes apart.
      const Grey no_hole(s_.size, s_.size);
      write_image(row, compose(*photo, std::vector<float>(photo->rgb.size(), 0.0f), no_hole));
    }
    folder_.finished(row, "");
  }

  /// The photograph's own bytes, where they can serve as they are.
  std::optional<std::vector<uint8_t>> raw_bytes(const Row& row) {
    try {
      std::vector<uint8_t> bytes = read_file(row.photo);
      const Image image = decode_image(bytes, row.photo);
      const char* kind = is_jpeg(bytes) ? "jpg" : is_png(bytes) ? "png" : "picture of another kind";
      TT_CHECK(image.width == s_.size && image.height == s_.size && s_.format == kind, DataError, row.photo, ": is a ",
               image.width, "x", image.height, " ", kind, "; --negatives raw keeps only photographs that already are ",
               s_.size, "x", s_.size, " ", s_.format);
      return bytes;
    } catch (const DataError& e) {
      folder_.skip(row, e.what());
      return std::nullopt;
    }
  }

  void write_image(const Row& row, const Image& image) {
    const std::string path = folder_.image_path(row.label.id, s_.format);
    s_.format == "png" ? write_png(path, image) : write_jpeg(path, image, row.treatment.quality);
  }

  /// Runs in the pool; waits when too much stands in line.
  template <class F>
  void write(F f) {
    writing_.push_back(pool_.submit(std::move(f)));
    while (writing_.size() > size_t(4 * pool_.threads() + generators_.batch())) settle();
  }

  void settle() {
    take(writing_);
    ++settled_;
  }

  const Plan& plan_;
  const SynthSettings& s_;
  DatasetFolder& folder_;
  Generators& generators_;
  TaskPool& pool_;
  DoubleBuffer<void> painting_;
  std::vector<Group> groups_;
  std::vector<const Row*> others_;  ///< what needs no generator
  std::map<size_t, std::future<Decoded>> ahead_;
  std::deque<std::future<void>> writing_;
  int64_t missing_ = 0, settled_ = 0;  ///< settled_: since it was last told
  ProduceReport report_;
};

}  // namespace

ProduceReport produce(const Plan& plan, const SynthSettings& s, DatasetFolder& folder, Generators& generators,
                      TaskPool& pool) {
  return Producer(plan, s, folder, generators, pool).run();
}

}  // namespace telltale
