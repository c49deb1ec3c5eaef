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

/// How GPUs sum.
enum class Reduction {
  exchange,  ///< as built, in the ranks' order: each GPU gives every other its slice of the numbers, which that one
             ///< adds up, and the sums go round in rings
  rings      ///< in whatever order: partial sums go round in rings within nodes, up and down trees between them
};

/// Seconds in which so many GPUs sum `bytes` that each has. 0 for one GPU. More than a node must be whole nodes.
/// `exchange`: what goes to other nodes shares a node's link with what its other GPUs send there, and a GPU waits for
/// one message from each node after another. `rings`: each GPU's part goes between nodes by a tree.
double reduce_seconds(double bytes, int gpus, const Topology&, Reduction);

/// What a step of `gpus` loses: the lone step's seconds over the step's, in (0, 1]. Gradients are sent in buckets of at
/// least `bucket_bytes`, one after another, each once it is whole; `overlap` false: all after backward.
double weak_scaling(const LoneStep&, int gpus, const Topology&, double bucket_bytes, bool overlap, Reduction);

}  // namespace telltale
