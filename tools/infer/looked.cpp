#include "tools/infer/looked.h"

#include "base/interrupt.h"
#include "base/progress.h"

namespace telltale {
namespace {

std::string_view text_of(const std::vector<uint8_t>& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

Packed packed_drawn(const std::optional<Drawn>& drawn) {
  return drawn ? Packed{{"bytes", packed(drawn->bytes)}, {"error", drawn->error}} : Packed();
}

std::optional<Drawn> drawn_in(const Packed& p) {
  if (p.is_null()) return std::nullopt;
  return Drawn{values_in<uint8_t>(p.at("bytes")), p.at("error")};
}

std::string pack(const std::vector<Looked>& group) {
  Packed all = Packed::array();
  for (const Looked& l : group)
    all.push_back({{"path", l.path},
                   {"error", l.error},
                   {"remarks", l.remarks},
                   {"line", l.line},
                   {"mask", packed_drawn(l.mask)},
                   {"annotated", packed_drawn(l.annotated)},
                   {"shown", l.shown ? packed(*l.shown) : Packed()},
                   {"ms", l.ms}});
  return bytes_of(all);
}

std::vector<Looked> unpack(const std::string& bytes) {
  std::vector<Looked> group;
  for (const Packed& p : unpacked(bytes)) {
    Looked l{.path = p.at("path"), .error = p.at("error"), .remarks = p.at("remarks"), .line = p.at("line")};
    l.mask = drawn_in(p.at("mask"));
    l.annotated = drawn_in(p.at("annotated"));
    if (!p.at("shown").is_null()) l.shown = page_item_in(p.at("shown"));
    l.ms = p.at("ms");
    group.push_back(std::move(l));
  }
  return group;
}

}  // namespace

Drawn Drawn::from(const std::function<std::vector<uint8_t>()>& draw) {
  try {
    return {draw(), {}};
  } catch (const DataError& e) {
    return {{}, e.what()};
  }
}

Results::Results(const InferSettings& s, const std::vector<std::string>& paths) : s_(s) {
  if (!s.report.empty()) page_.emplace(s, paths.size());
  s.ranks->lead([&] {
    output_.emplace(s.json);
    if (!s.annotations.empty()) annotations_.emplace("--annotate", s.annotations, ".jpg", s.paths, paths);
    if (!s.masks.empty()) masks_.emplace("--masks", s.masks, ".png", s.paths, paths);
  });
}

int Results::collect(size_t pictures, size_t group, size_t ahead, const MakeItem<std::vector<Looked>>& look,
                     const std::string& weights_sha256) {
  Progress progress("looked at", int64_t(pictures));
  deal<std::vector<Looked>>(
      *s_.ranks, {.items = (pictures + group - 1) / group, .ahead = ahead},
      [&](size_t item, std::span<const size_t> upcoming) {
        TT_CHECK(!interrupted(), Error, "stopped before the end");
        return look(item, upcoming);
      },
      [&](size_t, std::vector<Looked> all) {
        for (Looked& l : all) write(std::move(l), weights_sha256);
        progress.advance(int64_t(all.size()));
      },
      pack, unpack);
  s_.ranks->lead([&] { output_->commit(); });
  return failed_;
}

void Results::write(const std::string& path, const char* what, const Drawn& drawn, const std::function<void()>& put) {
  std::string error = drawn.error;
  if (error.empty()) {
    const Drawn written = Drawn::from([&] {
      put();
      return std::vector<uint8_t>();
    });
    error = written.error;
  }
  if (error.empty()) return;
  ++failed_;
  warn(cat(path, ": no ", what, ": ", error));
}

void Results::write(Looked l, const std::string& weights_sha256) {
  if (!l.error.empty()) {
    ++failed_;
    output_->error(l.path, l.error);
    if (page_) page_->add_unread(l.path, l.error);
    return;
  }
  if (l.mask)
    write(l.path, "mask", *l.mask, [&] {
      const std::string file = masks_->place(l.path);
      write_atomically(file, text_of(l.mask->bytes));
      l.line["mask"] = file;
    });
  l.line["weights_sha256"] = weights_sha256;
  l.line["ms"] = rounded_ms(l.ms);
  output_->line(l.line);
  warn(l.remarks);
  if (l.shown) page_->add(std::move(*l.shown));
  if (l.annotated)
    write(l.path, "annotated picture", *l.annotated, [&] {
      if (annotations_) write_atomically(annotations_->place(l.path), text_of(l.annotated->bytes));
    });
}

void Results::write_report(double threshold, const std::string& weights_sha256, const Stream& stream) const {
  if (page_) s_.ranks->lead([&] { page_->write(threshold, weights_sha256, stream); });
}

}  // namespace telltale
