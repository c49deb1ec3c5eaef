#pragma once
// Filters that predict a pixel from those around it: what is left of the picture then is its noise, not its content.
#include "kernels/device/dispatch.h"

namespace telltale {

/// w = the filters nearest to raw {K,R,R,C} (R odd, above 1) under the constraint of Bayar and Stamm 2016: of each
/// {R,R} part the tap at the centre is −1 and the others sum to 1; then times `scale`. w has raw's shape and any
/// floating-point type, raw its accumulator's. With Σ over the R² − 1 taps off the centre,
///   w = scale · (raw + (1 − Σ raw) / (R² − 1)) off the centre, −scale at it.
/// Bayar and Stamm divide by the sum instead, which may come near zero. ShapeError where shapes do not fit.
void bayar_filters(Stream&, Tensor raw, Tensor w, float scale);
/// draw from dw, both {K,R,R,C} and of one type, obeying `mode`: scale · (dw − mean of dw off the centre), 0 at it.
void bayar_filters_gradient(Stream&, Tensor dw, Tensor draw, float scale, GradMode mode);

}  // namespace telltale
