#include "engine/capture.h"

#include "base/check.h"
#include "kernels/device/cuda_api.h"
#include "kernels/device/host_work.h"

namespace telltale {
namespace {
constexpr int kEagerRuns = 2;
}

Capture::Capture(Stream& s, bool wanted) : stream_(&s), graph_(nullptr, cuda_api::destroy_graph) {
  if (!wanted) {
    why_eager_ = "not wanted";
  } else if (!s.is_cuda()) {
    why_eager_ = "only a GPU replays graphs";
  }
}

void Capture::run(const std::function<void()>& work) {
  // A workspace that has grown since lies elsewhere, and the recording would write where it was.
  if (graph_ && stream_->workspace(0).data != workspace_) reset();
  if (graph_) return cuda_api::launch_graph(graph_.get(), stream_->native());
  if (!why_eager_.empty() || runs_ < kEagerRuns) {
    ++runs_;
    return work();
  }
  const HostWork before = host_work();
  try {
    record(work);
  } catch (const DeviceError& e) {
    why_eager_ = cat("the step cannot be recorded: ", e.what());
  }
  const HostWork after = host_work();
  if (!why_eager_.empty() && after != before) {
    why_eager_ += cat(" (inside it: ", after.allocations - before.allocations, " allocations, ",
                      after.waits - before.waits, " waits, ", after.copies - before.copies, " copies)");
  }
  if (!graph_) return work();
  cuda_api::launch_graph(graph_.get(), stream_->native());
}

void Capture::record(const std::function<void()>& work) {
  cuda_api::begin_capture(stream_->native());
  try {
    work();
    graph_.reset(cuda_api::end_capture(stream_->native()));
    workspace_ = stream_->workspace(0).data;
  } catch (...) {
    cuda_api::abandon_capture(stream_->native());
    throw;
  }
}

void Capture::reset() {
  graph_.reset();
  runs_ = 0;
}

}  // namespace telltale
