#pragma once
// Painters: what changes a region of a photograph without a net. A painter is one file here that registers itself.
#include <span>
#include <string>
#include <vector>

#include "data/painters/picture.h"
#include "kernels/device/philox.h"

namespace telltale {

enum class PainterKind {
  inpaint,    ///< invents what the hole hides, from what surrounds it; never looks into the hole
  reprocess,  ///< invents nothing: the region passes through what tools do to pixels
  splice      ///< takes the region from another photograph
};

/// "inpaint", "reprocess", "splice".
std::string name_of(PainterKind kind);

/// What a painter is given: all of one size, but for `other`.
struct PaintTask {
  const Picture& photo;
  const Grey& mask;                ///< ≥ 128: to be painted
  const Picture* other = nullptr;  ///< another photograph, of any size; only splices look at it
};

struct Painter {
  const char* name;
  PainterKind kind;
  /// Returns a picture of the photograph's size. Only the hole counts; outside it, reprocess and splice go on (what
  /// poisson blending wants), and inpaint leaves the photograph. A function of its arguments alone: what it draws, it
  /// draws from `random`.
  Picture (*paint)(const PaintTask& task, Random& random);
};

/// The last line of a painter's file: `const bool kKnown = register_painter({"name", kind, paint});`.
bool register_painter(const Painter& painter);
/// All, in the order of their names.
std::span<const Painter> painters();
/// UsageError lists the known ones.
const Painter& painter(const std::string& name);

/// Runs it, checked: ShapeError when sizes differ or are zero, or a splice lacks its other photograph. With an empty
/// mask the photograph comes back.
Picture paint(const Painter& painter, const PaintTask& task, Random& random);

}  // namespace telltale
