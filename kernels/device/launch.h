#pragma once
// The only two ways to start a kernel. A file that includes this is single-source: compiled by nvcc when TT_CUDA=1 and
// by the host compiler otherwise, never by both in one build (one definition rule).
#include <algorithm>
#include <type_traits>
#if TT_FAKE_GPU
#include <cstring>
#include <functional>
#include <typeinfo>
#endif
#if TT_LANE_THREADS
#include <vector>
#endif

#include "base/check.h"
#include "kernels/device/stream.h"
#if TT_CUDA && !defined(__CUDACC__)
#error "a file that launches kernels must end in .cu"
#endif

namespace telltale {

#if defined(__CUDACC__) || TT_FAKE_GPU
/// Throws DeviceError with the runtime's words when the last launch failed.
void check_launch(const char* what);
/// The most blocks a grid-stride kernel uses: enough waves to balance any GPU, few enough to amortise set-up.
constexpr int64_t kMaxGrid = 32768;
#endif
#if TT_FAKE_GPU
namespace fake_gpu {
/// Enqueues a kernel's host form on a stream of the device that tests/fake_gpu pretends to be. `what` names it. Every
/// other launch runs it back to front.
void launch(void* stream, const char* what, std::function<void(bool reversed)> body);
}  // namespace fake_gpu
#endif
#if TT_LANE_THREADS
namespace lane_threads {
/// Calls body(block, lane) for every lane of every block, each on a thread of its own as ThreadSanitizer sees it, in a
/// random order (tests/lane_threads/). `what` names the kernel.
void run(const char* what, int64_t blocks, int lanes, const std::function<void(int64_t block, int lane)>& body);
/// Where the lane that calls it waits for the others of its block.
void barrier();
}  // namespace lane_threads
#endif
#ifdef __CUDACC__
template <class F>
__global__ void for_each_kernel(int64_t n, F f) {
  const int64_t step = int64_t(gridDim.x) * blockDim.x;
  for (int64_t i = int64_t(blockIdx.x) * blockDim.x + threadIdx.x; i < n; i += step) f(i);
}
#endif

/// What a kernel is called with travels to the device as bytes, of which CUDA takes so many.
template <class F>
constexpr bool kTravels = std::is_trivially_copyable_v<F> && sizeof(F) <= 4096;

/// The host's form of a grid-stride kernel.
template <class F>
void host_for_each(int64_t n, const F& f, int64_t work, int threads) {
#if TT_LANE_THREADS
  static_cast<void>(work), static_cast<void>(threads);
  constexpr int kLanes = 61;  // a prime: what lies a power of two apart is on different lanes
  return lane_threads::run(typeid(F).name(), 1, int(std::min<int64_t>(n, kLanes)), [&](int64_t, int lane) {
    for (int64_t i = lane; i < n; i += kLanes) f(i);
  });
#else
  // Below this a parallel region costs more than the loop.
#pragma omp parallel for if (n * work > 16384) num_threads(threads)
  for (int64_t i = 0; i < n; ++i) f(i);
#endif
}

/// Calls f(i) for every i in [0, n): a grid-stride kernel on CUDA, a parallel loop on the host. f must not depend on
/// order. `work` is about how many numbers one index touches: the host decides by it whether threads pay.
template <class F>
void for_each(Stream& s, int64_t n, const F& f, int64_t work = 1) {
  static_assert(kTravels<F>);
#ifdef __CUDACC__
  if (s.is_cuda()) {
    if (n > 0)
      for_each_kernel<<<unsigned(std::min<int64_t>((n + 255) / 256, kMaxGrid)), 256, 0, cudaStream_t(s.native())>>>(n,
                                                                                                                    f);
    return check_launch("for_each");
  }
#elif TT_FAKE_GPU && !TT_LANE_THREADS
  if (s.is_cuda()) {
    fake_gpu::launch(s.native(), typeid(F).name(), [=, threads = s.threads()](bool reversed) {
      host_for_each(
          n, [&](int64_t i) { f(reversed ? n - 1 - i : i); }, work, threads);
    });
    return check_launch("for_each");
  }
#endif
  TT_CHECK(!s.is_cuda(), DeviceError,
           "this program was built without CUDA; build with -DTT_CUDA=ON or use --device cpu");
  host_for_each(n, f, work, s.threads());
}

/// One value per lane: a register on the device, an array on the host.
template <class T, int N>
class Lane {
 public:
  TT_HD explicit Lane(T init) {
#if defined(__CUDA_ARCH__) || TT_LANE_THREADS
    v_ = init;
#else
    for (T& v : v_) v = init;
#endif
  }
#if defined(__CUDA_ARCH__) || TT_LANE_THREADS
  TT_HD T& operator[](int) { return v_; }

 private:
  T v_;
#else
  T& operator[](int t) { return v_[t]; }

 private:
  T v_[N];
#endif
};

/// N lanes in lock-step phases. Shared memory is touched only inside each(); lanes exchange data only across phases.
template <int N>
class Block {
 public:
  static constexpr int size = N;
#if TT_LANE_THREADS
  Block(int64_t index, int lane) : index(index), lane_(lane) {}
#else
  TT_HD Block(int64_t index, bool reversed) : index(index), reversed_(reversed) {}
#endif
  const int64_t index;
  template <class T>
  TT_HD Lane<T, N> lane(T init) const {
    return Lane<T, N>(init);
  }
  template <class F>
  TT_HD void each(F phase) const {
#ifdef __CUDA_ARCH__
    phase(int(threadIdx.x));
    __syncthreads();
#elif TT_LANE_THREADS
    phase(lane_);
    lane_threads::barrier();
#else
    for (int i = 0; i < N; ++i) phase(reversed_ ? N - 1 - i : i);
#endif
  }
  /// Folds the lanes' values with combine(a, b), in one fixed tree order, the same on host and device.
  template <class T, class C>
  TT_HD T reduce(Lane<T, N>& x, T* shared, C combine) const {
    each([&](int t) { shared[t] = x[t]; });
    for (int s = N / 2; s > 0; s /= 2) {
      each([&](int t) {
        if (t < s) shared[t] = combine(shared[t], shared[t + s]);
      });
    }
    const T total = shared[0];
    each([](int) {});  // everyone has read before anyone writes again
    return total;
  }
  template <class T>
  TT_HD T sum(Lane<T, N>& x, T* shared) const {
    return reduce(x, shared, [](const T& a, const T& b) { return a + b; });
  }

 private:
#if TT_LANE_THREADS
  int lane_;
#else
  bool reversed_;
#endif
};

#ifdef __CUDACC__
template <int N, class K>
__global__ void __launch_bounds__(N) block_kernel(K k) {
  __shared__ typename K::Shared shared;
  k(Block<N>(blockIdx.x, false), shared);
}
#endif

/// The host's form of a grid of blocks: one block after another on each thread, their lanes in turn.
template <int N, class K>
void host_launch(int64_t grid, const K& k, bool reversed, int threads) {
#if TT_LANE_THREADS
  static_cast<void>(reversed), static_cast<void>(threads);
  std::vector<typename K::Shared> shared(static_cast<size_t>(grid));
  std::memset(static_cast<void*>(shared.data()), 0xff, shared.size() * sizeof shared[0]);  // NaN
  return lane_threads::run(typeid(K).name(), grid, N,
                           [&](int64_t b, int lane) { k(Block<N>(b, lane), shared[size_t(b)]); });
#else
#pragma omp parallel for num_threads(threads)
  for (int64_t b = 0; b < grid; ++b) {
    typename K::Shared shared;
#if TT_FAKE_GPU
    std::memset(static_cast<void*>(&shared), 0xff, sizeof shared);  // what a block finds there is anything: here NaN
#endif
    k(Block<N>(b, reversed), shared);
  }
#endif
}

/// Runs k(block, shared) for `grid` blocks of N lanes. K names its shared memory K::Shared.
template <int N, class K>
void launch(Stream& s, int64_t grid, const K& k) {
  static_assert(kTravels<K>);
  TT_CHECK(grid <= 0x7fffffff, ShapeError, "launch: ", grid, " blocks are more than a grid holds");
#ifdef __CUDACC__
  if (s.is_cuda()) {
    if (grid > 0) block_kernel<N><<<unsigned(grid), N, 0, cudaStream_t(s.native())>>>(k);
    return check_launch("launch");
  }
#elif TT_FAKE_GPU && !TT_LANE_THREADS
  if (s.is_cuda()) {
    fake_gpu::launch(s.native(), typeid(K).name(),
                     [=, threads = s.threads()](bool reversed) { host_launch<N>(grid, k, reversed, threads); });
    return check_launch("launch");
  }
#endif
  TT_CHECK(!s.is_cuda(), DeviceError,
           "this program was built without CUDA; build with -DTT_CUDA=ON or use --device cpu");
  host_launch<N>(grid, k, s.reversed_lanes(), s.threads());
}

}  // namespace telltale
