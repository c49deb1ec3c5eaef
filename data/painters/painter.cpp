#include "data/painters/painter.h"

#include <algorithm>
#include <string_view>

#include "base/check.h"

namespace telltale {
namespace {

std::vector<Painter>& registry() {
  static std::vector<Painter> all;
  return all;
}

}  // namespace

std::string name_of(PainterKind kind) {
  switch (kind) {
    case PainterKind::inpaint: return "inpaint";
    case PainterKind::reprocess: return "reprocess";
    default: return "splice";
  }
}

bool register_painter(const Painter& painter) {
  std::vector<Painter>& all = registry();
  const auto before = [](const Painter& a, const Painter& b) {
    return std::string_view(a.name) < std::string_view(b.name);
  };
  all.insert(std::upper_bound(all.begin(), all.end(), painter, before), painter);
  return true;
}

std::span<const Painter> painters() { return registry(); }

const Painter& painter(const std::string& name) {
  std::string known;
  for (const Painter& p : registry()) {
    if (name == p.name) return p;
    known += (known.empty() ? "" : ", ") + std::string(p.name);
  }
  throw UsageError(cat("unknown painter '", name, "': known are ", known));
}

Picture paint(const Painter& painter, const PaintTask& task, Random& random) {
  const Picture& photo = task.photo;
  TT_CHECK(photo.width > 0 && photo.height > 0 && task.mask.width == photo.width && task.mask.height == photo.height,
           ShapeError, painter.name, ": photo ", photo.width, "x", photo.height, ", mask ", task.mask.width, "x",
           task.mask.height, ": sizes must agree and be positive");
  TT_CHECK(painter.kind != PainterKind::splice || (task.other && task.other->width > 0 && task.other->height > 0),
           ShapeError, painter.name, ": another photograph is needed");
  if (std::none_of(task.mask.pixels.begin(), task.mask.pixels.end(), [](uint8_t v) { return v >= 128; })) return photo;
  return painter.paint(task, random);
}

}  // namespace telltale
