#pragma once
// A stretch of a step as a CUDA graph: launched as one, without the host in between.
#include <functional>
#include <memory>
#include <string>

#include "kernels/device/stream.h"

namespace telltale {

/// Runs the same work again and again: twice eagerly (libraries choose their plans, workspaces grow), then once
/// recorded, from then on replayed. Where it cannot be recorded (on the CPU; when the work waits, allocates or copies
/// to the host) it goes on eagerly and says why. The stream must outlive it.
class Capture {
 public:
  explicit Capture(Stream& s, bool wanted = true);
  /// `work` must enqueue the same kernels on the same memory each time, all on this stream; what changes from step to
  /// step lies in device memory. Enqueues; does not wait. Errors of eager runs pass through.
  void run(const std::function<void()>& work);
  /// To be called when the memory or the shapes that `work` uses have changed: the next runs are eager again.
  void reset();
  bool replays() const { return graph_ != nullptr; }
  /// Why it runs eagerly for good; empty while it does not.
  const std::string& why_eager() const { return why_eager_; }

 private:
  void record(const std::function<void()>& work);
  Stream* stream_;
  int runs_ = 0;
  void* workspace_ = nullptr;  // the stream's, when recorded
  std::string why_eager_;
  std::unique_ptr<void, void (*)(void*)> graph_;
};

}  // namespace telltale
