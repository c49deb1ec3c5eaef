#include "engine/layers/attention.h"

#include "engine/layers/parts.h"
#include "kernels/attention/attention.h"
#include "kernels/device/buffer.h"

namespace telltale {
Spec ContextualAttention::plan(const PlanContext& c, std::span<const Shape> x) const {
  check_inputs(name, x, 2);
  check_mask(name, x[0], x[1]);
  TT_CHECK(x[0].h % 2 == 0 && x[0].w % 2 == 0, ShapeError, name, ": height and width must be even, got ",
           to_string(x[0]));
  Spec spec;
  spec.y = x[0];
  spec.scratch = attention_scratch_bytes(c.stream, x[0], c.compute);
  if (c.backward) {
    spec.keep_x = 3;
    spec.backward_scratch = attention_backward_scratch_bytes(c.stream, x[0], c.compute);
  }
  return spec;
}

void ContextualAttention::forward(Stream& s, const Io& io) const {
  attention_forward(s, {.x = io.x[0], .mask = io.x[1], .y = io.y, .scratch = io.scratch, .form = form_});
}

void ContextualAttention::backward(Stream& s, const Io& io) const {
  attention_backward(s, {.x = io.x[0],
                         .mask = io.x[1],
                         .dy = io.dy,
                         .dx = io.dx[0],
                         .scratch = io.scratch,
                         .form = form_,
                         .dx_mode = io.dx_mode[0]});
  no_gradient(s, io, 1);
}

}  // namespace telltale
