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

double reduce_seconds(double bytes, int gpus, const Topology& t, Reduction how) {
  const double local = std::min(gpus, t.gpus_per_node), nodes = std::ceil(double(gpus) / t.gpus_per_node);
  // Partial sums on their way to where they are whole, and back: as much each way.
  const double in_node = local > 1 ? (local - 1) * (bytes / local / t.in_node + t.in_node_latency) : 0;
  const double between = nodes > 1 ? (nodes - 1) / nodes * bytes / t.between + std::log2(nodes) * t.between_latency : 0;
  if (how == Reduction::rings) return 2 * (in_node + between);
  double given = 0;
  if (local > 1) given += (local - 1) * (bytes / gpus / t.in_node + t.in_node_latency);
  if (nodes > 1) given += local * (gpus - local) / gpus * bytes / t.between + (nodes - 1) * t.between_latency;
  return given + in_node + between;
}

double weak_scaling(const LoneStep& step, int gpus, const Topology& t, double bucket_bytes, bool overlap,
                    Reduction how) {
  double time = step.before, sent = 0, waiting = 0;  // sent: when the last bucket had arrived
  const auto send = [&] {
    if (waiting > 0) sent = std::max(sent, time) + reduce_seconds(waiting, gpus, t, how);
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
