#pragma once
// Where each tensor lies in the one arena. Pure arithmetic: testable without a device.
#include <cstddef>
#include <vector>

namespace telltale {

/// A tensor's bytes and the first and last moment (both included) at which they must be intact.
struct Lifetime {
  size_t bytes = 0;
  int first = 0, last = 0;
};
struct Placement {
  std::vector<size_t> offsets;  ///< one per lifetime, multiples of 256
  size_t total = 0;             ///< arena bytes
};
/// Greedy by size: the largest first, each at the lowest offset where no tensor alive at the same time lies.
Placement place(const std::vector<Lifetime>& tensors);
/// The most bytes alive at one moment: no placement can do with less.
size_t peak(const std::vector<Lifetime>& tensors);

}  // namespace telltale
