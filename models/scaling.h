#pragma once
// A model, not a measurement: how long a data-parallel step of many GPUs takes, of what one of them needs and of the
// links between them.
#include <vector>

namespace telltale {

/// Links. Bandwidths in bytes a second and direction, latencies in seconds a message.
struct Topology {
  int gpus_per_node = 8;
  double in_node = 300e9, in_node_latency = 3e-6;  ///< of a GPU to the others of its node
  double between = 50e9, between_latency = 10e-6;  ///< of a node to the others, shared by its GPUs
};

/// A layer's backward: how long, and how many bytes of gradients are ready after it.
struct BackwardPart {
  double seconds = 0, bytes = 0;
};

/// A step of one GPU alone.
struct LoneStep {
  double before = 0;                   ///< seconds until backward begins
  std::vector<BackwardPart> backward;  ///< in the order in which it runs
  double after = 0;                    ///< seconds of the optimiser
  double seconds() const;
  double bytes() const;  ///< of all gradients
};

/// Seconds in which so many GPUs sum `bytes` that each has: within nodes by reduce-scatter and all-gather in a ring,
/// between nodes each GPU's part by a tree. 0 for one GPU. More than a node must be whole nodes.
double reduce_seconds(double bytes, int gpus, const Topology&);

/// What a step of `gpus` loses: the lone step's seconds over the step's, in (0, 1]. Gradients are sent in buckets of at
/// least `bucket_bytes`, one after another, each once it is whole; `overlap` false: all after backward.
double weak_scaling(const LoneStep&, int gpus, const Topology&, double bucket_bytes, bool overlap);

}  // namespace telltale
