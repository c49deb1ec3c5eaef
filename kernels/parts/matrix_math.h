#pragma once
// How products of f32 matrices and convolutions may be computed on a stream.

namespace telltale {

/// A stream's resource: `stream.resource<MatrixMath>().tf32 = true` before planning.
struct MatrixMath {
  /// CUDA may round f32 operands to TF32 (10 bits of mantissa) to use tensor cores; sums stay f32.
  bool tf32 = false;
};

}  // namespace telltale
