#pragma once
// Running statistics that several processes moved, as one process would have moved them.
#include "kernels/device/dispatch.h"

namespace telltale {

/// Numbers that lie here and there in `from`: to[i] = from[places[i]]. places: i32, {1,1,1,n}; from and to of one type,
/// f32 or f64.
void collect(Stream&, Tensor from, Tensor places, Tensor to);

/// A number that a pass moves by r ← kept·r + (of the pass), and that each of several ranks moved from `before`:
/// to[places[i]] = what all their passes in order would have made of it, in f64. reached: {ranks,1,1,n}, of which the
/// first `active` count; before, places: {1,1,1,n}; kept: f64, {1,1,1,n}; reached, before and to of one type, f32 or
/// f64.
void combine_statistics(Stream&, Tensor reached, int active, Tensor before, Tensor kept, Tensor places, Tensor to);

}  // namespace telltale
