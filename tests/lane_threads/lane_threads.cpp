#include "tests/lane_threads/lane_threads.h"

#include <sanitizer/tsan_interface.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <numeric>
#include <random>
#include <stdexcept>
#include <vector>

namespace telltale::lane_threads {
namespace {

constexpr int64_t kTogether = 2;  // blocks: enough for a race between two
constexpr size_t kStack = 128 << 10;

/// A thread as ThreadSanitizer sees it, with its stack. It serves one lane of one launch after another: to make one
/// takes longer than to run most lanes.
struct Lane {
  void* fiber = nullptr;
  void* stack = nullptr;
  ucontext_t context{};
  int64_t block = 0;
  int index = 0, came_to = 0, waited_at = 0;
  size_t barrier = 0;
  bool done = true;
};
std::vector<std::unique_ptr<Lane>>& pool() {
  static std::vector<std::unique_ptr<Lane>> p;
  return p;
}

/// What a block's lanes wait for: what happened before them in turn, so that a lane that goes on is not taken to have
/// seen one that has come to the next barrier already.
struct Barrier {
  char side[2];
};

struct Launch {
  const char* what;
  const std::function<void(int64_t, int)>* body;
  std::vector<Lane*> lanes;
  std::vector<Barrier> barriers;  // by block
  void* launcher = nullptr;
  ucontext_t back{};
  Lane* running = nullptr;
};
Launch* current = nullptr;
char all_start = 0, all_end = 0;

int seen = 0;
bool stops = false;
struct LeftOut {
  std::string kernel;
  int barrier = -1;
} left_out;
std::map<std::string, int>& counted() {
  static std::map<std::string, int> m;
  return m;
}

std::mt19937& random_numbers() {
  static std::mt19937 r(20260101);
  return r;
}

/// No order between the two: it is what the lanes do that makes one.
void switch_to(void* fiber, ucontext_t& from, const ucontext_t& to) {
  __tsan_switch_to_fiber(fiber, __tsan_switch_to_fiber_no_sync);
  swapcontext(&from, &to);
}
void give_way(Lane& lane) { switch_to(current->launcher, lane.context, current->back); }

/// One lane after another, for ever.
void lanes_of_one_thread() {
  while (true) {
    Lane& lane = *current->running;
    __tsan_acquire(&all_start);
    (*current->body)(lane.block, lane.index);
    lane.done = true;
    __tsan_release(&all_end);
    give_way(lane);
  }
}

std::unique_ptr<Lane> new_lane() {
  auto lane = std::make_unique<Lane>();
  lane->fiber = __tsan_create_fiber(0);
  lane->stack = mmap(nullptr, kStack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (lane->stack == MAP_FAILED) throw std::bad_alloc();
  getcontext(&lane->context);
  lane->context.uc_stack.ss_sp = lane->stack;
  lane->context.uc_stack.ss_size = kStack;
  lane->context.uc_link = nullptr;
  makecontext(&lane->context, lanes_of_one_thread, 0);
  return lane;
}

/// Runs every lane that is not done up to its next barrier. False where none was left.
bool run_phase() {
  std::vector<Lane*> order;
  for (Lane* lane : current->lanes)
    if (!lane->done) order.push_back(lane);
  std::shuffle(order.begin(), order.end(), random_numbers());
  for (Lane* lane : order) {
    current->running = lane;
    switch_to(lane->fiber, current->back, lane->context);
  }
  return !order.empty();
}

/// On a GPU nobody knows what the lanes of a block do when some of them miss a barrier.
void check_agreement(size_t lanes) {
  for (size_t i = 0; i < current->lanes.size(); ++i) {
    const Lane &lane = *current->lanes[i], &first = *current->lanes[i / lanes * lanes];
    if (lane.done == first.done && lane.waited_at == first.waited_at) continue;
    const std::string what = current->what;
    let_go();
    throw std::logic_error(what + ": lanes of a block miss a barrier that others wait at");
  }
}

void run_blocks(const char* what, const std::vector<int64_t>& blocks, size_t lanes,
                const std::function<void(int64_t, int)>& body) {
  Launch launch{.what = what, .body = &body, .lanes = {}, .barriers = {}};
  launch.launcher = __tsan_get_current_fiber();
  launch.barriers.resize(blocks.size());
  while (pool().size() < blocks.size() * lanes) pool().push_back(new_lane());
  for (size_t i = 0; i < blocks.size() * lanes; ++i) {
    Lane& lane = *pool()[i];
    lane.block = blocks[i / lanes];
    lane.index = int(i % lanes);
    lane.barrier = i / lanes;
    lane.came_to = lane.waited_at = 0;
    lane.done = false;
    launch.lanes.push_back(&lane);
  }
  current = &launch;
  __tsan_release(&all_start);
  while (run_phase()) check_agreement(lanes);
  __tsan_acquire(&all_end);
  for (const Lane* lane : launch.lanes)
    if (lane->came_to > 0) counted()[what] = std::max(counted()[what], lane->came_to);
  current = nullptr;
}

}  // namespace

void run(const char* what, int64_t blocks, int lanes, const std::function<void(int64_t, int)>& body) {
  std::vector<int64_t> order(static_cast<size_t>(blocks));
  std::iota(order.begin(), order.end(), 0);
  std::shuffle(order.begin(), order.end(), random_numbers());
  for (int64_t first = 0; first < blocks; first += kTogether)
    run_blocks(what, {order.begin() + first, order.begin() + std::min(first + kTogether, blocks)}, size_t(lanes), body);
}

void barrier() {
  Lane& lane = *current->running;
  if (lane.came_to++ == left_out.barrier && left_out.kernel == current->what) return;
  char* side = &current->barriers[lane.barrier].side[lane.waited_at++ % 2];
  __tsan_release(side);
  give_way(lane);
  __tsan_acquire(side);
}

void let_go() {
  for (const std::unique_ptr<Lane>& lane : pool()) {
    __tsan_destroy_fiber(lane->fiber);
    munmap(lane->stack, kStack);
  }
  pool().clear();
  current = nullptr;
}

int races() { return seen; }
void end_at_race() { stops = true; }
const std::map<std::string, int>& barriers() { return counted(); }
void forget_barriers() { counted().clear(); }
void leave_out(const std::string& kernel, int barrier) { left_out = {kernel, barrier}; }

}  // namespace telltale::lane_threads

extern "C" {

/// Every pair of places counts, and the trace of a lane is short: there are a thousand of them.
const char* __tsan_default_options() {  // NOLINT: ThreadSanitizer's name
  return "history_size=0:suppress_equal_stacks=1:exitcode=66";
}
void __tsan_on_report(void*) {  // NOLINT: ThreadSanitizer's name
  ++telltale::lane_threads::seen;
  if (telltale::lane_threads::stops) _exit(telltale::lane_threads::kRaceFound);
}
}
