#pragma once
// Where a net's time goes, layer by layer, and how far each layer is from what the device could do.
#include <functional>
#include <nlohmann/json.hpp>

#include "engine/program.h"
#include "tools/bench/ceilings.h"

namespace telltale {

/// Runs `step` (one eager step of the program, waited for) a few times, prints a line a layer and returns the same as
/// JSON: seconds forward and backward, share of the whole, and share of the layer's roof: the larger of its bytes (each
/// tensor it must read or write once) over the copy bandwidth and its multiplications over the peak rate.
nlohmann::json time_layers(Program&, Stream&, const Ceilings&, const std::function<void()>& step);

}  // namespace telltale
