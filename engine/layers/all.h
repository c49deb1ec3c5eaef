#pragma once
// Every layer that nets are built from. Each is settings, a plan and calls of kernels; the arithmetic lives in
// kernels/.
#include "engine/layers/attention.h"
#include "engine/layers/conv.h"
#include "engine/layers/gated_conv.h"
#include "engine/layers/inputs.h"
#include "engine/layers/norm.h"
#include "engine/layers/pointwise.h"
#include "engine/layers/pool.h"
#include "engine/layers/resample.h"
#include "engine/layers/window.h"
