// Layers that work on a window of each image.
#include "engine/layers/window.h"

#include <algorithm>

#include "engine/layers/parts.h"
#include "kernels/window.h"

namespace telltale {

std::string CropWindow::describe() const { return cat("CropWindow ", side_, " /", stride_); }

Spec CropWindow::plan(const PlanContext&, std::span<const Shape> x) const {
  check_inputs(name, x, 2);
  TT_CHECK(side_ > 0 && side_ <= std::min(x[0].h, x[0].w), ShapeError, name, ": a window of ", side_, "x", side_,
           " does not fit ", to_string(x[0]));
  Spec spec;
  spec.y = {x[0].n, side_, side_, x[0].c};
  return spec;
}

void CropWindow::forward(Stream& s, const Io& io) const { window_crop(s, io.x[0], io.x[1], stride_, io.y); }

Spec BlendWindow::plan(const PlanContext&, std::span<const Shape> x) const {
  check_inputs(name, x, 4);
  Spec spec;
  spec.y = x[0];
  return spec;
}

void BlendWindow::forward(Stream& s, const Io& io) const {
  window_blend(s, {.a = io.x[0], .b = io.x[1], .m = io.x[2], .corner = io.x[3], .y = io.y});
}

}  // namespace telltale
