#pragma once
// A net whose numbers are numbers: relu and max pooling turn NaN into 0, so that a loss need not show it.
#include <string>

#include "engine/program.h"

namespace telltale {

/// The name of the first parameter or statistic with a value that is infinite or no number; empty when all are finite.
/// Waits for the stream.
std::string first_not_finite(const Program&);
/// Throws Error naming it and `when` ("at step 12"), and that the last checkpoint stays.
void require_finite(const Program&, const std::string& when);

}  // namespace telltale
