#pragma once
// A queue of work on one device, with its workspace and its libraries' handles.
#include <map>
#include <memory>
#include <string>
#include <typeindex>
#include <vector>

#include "kernels/device/tensor.h"

namespace telltale {

/// Where bytes live.
enum class Place : uint8_t { host, cuda };

/// The host's worker threads, a CUDA stream, or the host running the device's kernel bodies. Move-only; not for two
/// threads at once.
class Stream {
 public:
  /// The host. threads = 0 takes every core. The number holds for the process: OpenMP and oneDNN share it.
  static Stream cpu(int threads = 0);
  /// The host running device bodies lane by lane, for tests; `reversed` runs each phase's lanes last to first.
  static Stream emulated(bool reversed = false);
  /// A CUDA device; throws DeviceError with the probe's reason when there is none.
  static Stream cuda(int ordinal = 0);
  /// By name: "cpu", "cuda", "cuda:1", "emulated", or "auto" (CUDA when usable, else the host). Throws UsageError on
  /// any other.
  static Stream open(const std::string& device, int threads = 0);

  Stream(Stream&&) noexcept;
  Stream& operator=(Stream&&) noexcept;
  ~Stream();

  bool is_cuda() const { return place_ == Place::cuda; }
  /// True where the `.cu` bodies run: on a GPU, or emulated.
  bool device_bodies() const { return place_ == Place::cuda || emulated_; }
  bool reversed_lanes() const { return reversed_; }
  Place place() const { return place_; }
  /// "CPU (2 threads)", "NVIDIA H200 (cuda:0)", …
  std::string description() const;
  /// cudaStream_t, untyped so that host files need no CUDA header; null on the host.
  void* native() const { return native_; }
  int threads() const { return threads_; }

  /// Scratch memory of at least `bytes`, 64-byte aligned, valid until the next call. It grows only here, so ask for the
  /// most while planning.
  Tensor workspace(size_t bytes);
  /// Waits for everything enqueued.
  void sync();

  /// One object of type T per stream (a library's handle, a cache of its plans), made on first use.
  template <class T>
  T& resource() {
    auto& slot = resources_[std::type_index(typeid(T))];
    if (!slot) slot = std::unique_ptr<void, void (*)(void*)>(new T(), [](void* p) { delete static_cast<T*>(p); });
    return *static_cast<T*>(slot.get());
  }

 private:
  Stream();
  struct Slot : std::unique_ptr<void, void (*)(void*)> {
    using unique_ptr::unique_ptr;
    Slot() : unique_ptr(nullptr, [](void*) {}) {}
    Slot& operator=(std::unique_ptr<void, void (*)(void*)>&& p) {
      unique_ptr::operator=(std::move(p));
      return *this;
    }
  };
  void destroy();
  Place place_ = Place::host;
  bool emulated_ = false, reversed_ = false;
  int threads_ = 1, ordinal_ = 0;
  void* native_ = nullptr;
  void* workspace_ = nullptr;
  size_t workspace_bytes_ = 0;
  std::map<std::type_index, Slot> resources_;
};

/// Why CUDA can't be used here, in the driver's own words; empty when it can.
std::string cuda_unavailable_reason();

}  // namespace telltale
