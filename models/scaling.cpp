#include "models/scaling.h"

#include <algorithm>
#include <cmath>

namespace telltale {

double LoneStep::seconds() const {
  double sum = before + after;
  for (const BackwardPart& part : backward) sum += part.seconds;
  return sum;
}

double LoneStep::bytes() const {
  double sum = 0;
  for (const BackwardPart& part : backward) sum += part.bytes;
  return sum;
}

double reduce_seconds(double bytes, int gpus, const Topology& t) {
  const double local = std::min(gpus, t.gpus_per_node), nodes = std::ceil(double(gpus) / t.gpus_per_node);
  double seconds = 0;
  if (local > 1) seconds += 2 * (local - 1) * (bytes / local / t.in_node + t.in_node_latency);
  // Every GPU's part of the bytes goes out at once, over the node's one link.
  if (nodes > 1) seconds += 2 * (nodes - 1) / nodes * bytes / t.between + 2 * std::log2(nodes) * t.between_latency;
  return seconds;
}

double weak_scaling(const LoneStep& step, int gpus, const Topology& t, double bucket_bytes, bool overlap) {
  double time = step.before, sent = 0, waiting = 0;  // sent: when the last bucket had arrived
  const auto send = [&] {
    if (waiting > 0) sent = std::max(sent, time) + reduce_seconds(waiting, gpus, t);
    waiting = 0;
  };
  for (const BackwardPart& part : step.backward) {
    time += part.seconds;
    waiting += part.bytes;
    if (overlap && waiting >= bucket_bytes) send();
  }
  send();
  return step.seconds() / (std::max(time, sent) + step.after);
}

}  // namespace telltale
