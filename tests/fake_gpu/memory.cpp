#include "tests/fake_gpu/memory.h"

#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>

namespace telltale::fake_gpu {
namespace {

constexpr size_t kPage = 4096, kAlignment = 256, kHugePage = size_t(2) << 20;
constexpr size_t kArena = size_t(1) << 44;      // of addresses, not of memory
constexpr size_t kPoisoned = size_t(64) << 20;  // bytes of a large allocation that are filled

size_t rounded(size_t bytes, size_t to) { return (bytes + to - 1) / to * to; }

/// One allocation: its pages from `first`, its bytes at the end of them.
struct Block {
  char* first;
  size_t pages, bytes;
};

struct Arena {
  char *begin, *next;
  std::map<const char*, Block> live;  // by the pointer given out
  size_t used = 0;
  int running = 0;
  const char* what = nullptr;
  bool keeps_host_out = true;
};

void on_fault(int, siginfo_t*, void*);

Arena& arena() {
  static Arena a = [] {
    void* p = mmap(nullptr, kArena, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) {
      std::perror("fake GPU: reserving addresses");
      std::abort();
    }
    struct sigaction action = {};
    action.sa_sigaction = on_fault;
    action.sa_flags = SA_SIGINFO;
    sigaction(SIGSEGV, &action, nullptr);
    Arena fresh;
    fresh.begin = fresh.next = static_cast<char*>(p) + (kHugePage - reinterpret_cast<uintptr_t>(p) % kHugePage);
    return fresh;
  }();
  return a;
}

void protect(const Block& b, int how) { mprotect(b.first, b.pages * kPage, how); }

/// The program ends here: a device would report an illegal access, and not say where.
void on_fault(int, siginfo_t* info, void*) {
  const Arena& a = arena();
  const char* at = static_cast<const char*>(info->si_addr);
  char text[512];
  int length = 0;
  if (at < a.begin || at >= a.next) {
    length = std::snprintf(text, sizeof text, "segmentation fault at %p\n", info->si_addr);
  } else {
    const auto above = a.live.upper_bound(at);
    const auto block = above == a.live.begin() ? a.live.end() : std::prev(above);
    const bool inside = block != a.live.end() && at < block->first + block->second.bytes;
    const char* who = a.running ? a.what : "the host";
    if (inside) {
      length = std::snprintf(text, sizeof text, "fake GPU: %s touches device memory, byte %zd of %zu\n", who,
                             at - block->first, block->second.bytes);
    } else if (block != a.live.end()) {
      length = std::snprintf(text, sizeof text,
                             "fake GPU: %s touches what is not allocated, %zd bytes past the start of %zu\n", who,
                             at - block->first, block->second.bytes);
    } else {
      length = std::snprintf(text, sizeof text, "fake GPU: %s touches what is not allocated\n", who);
    }
  }
  if (write(STDERR_FILENO, text, size_t(length)) < 0) _exit(139);
  signal(SIGSEGV, SIG_DFL);  // and the same access ends the program as it always did
}

}  // namespace

void* allocate(size_t bytes, size_t capacity) {
  Arena& a = arena();
  const size_t size = rounded(std::max<size_t>(bytes, 1), kAlignment), pages = rounded(size, kPage) / kPage;
  if (a.used + size > capacity) return nullptr;
  // Letting the host in and out costs by the number of pages.
  const bool is_large = pages * kPage >= 2 * kHugePage;
  if (is_large) a.next = a.begin + rounded(size_t(a.next - a.begin), kHugePage);
  const Block b{a.next, pages, size};
  char* p = a.next + pages * kPage - size;
  protect(b, PROT_READ | PROT_WRITE);
  if (is_large) madvise(b.first, b.pages * kPage, MADV_HUGEPAGE);
  std::memset(p, 0xff, std::min(size, kPoisoned));
  if (!a.running && a.keeps_host_out) protect(b, PROT_NONE);
  a.next += (pages + 1) * kPage;
  a.live.emplace(p, b);
  a.used += size;
  return p;
}

bool release(void* p) {
  Arena& a = arena();
  const auto at = a.live.find(static_cast<const char*>(p));
  if (at == a.live.end()) return false;
  const Block& b = at->second;
  mmap(b.first, b.pages * kPage, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
  a.used -= b.bytes;
  a.live.erase(at);
  return true;
}

void keep_host_out(bool out) { arena().keeps_host_out = out; }

size_t allocated() { return arena().used; }

bool is_device_memory(const void* p, size_t bytes) {
  const Arena& a = arena();
  const char* at = static_cast<const char*>(p);
  const auto above = a.live.upper_bound(at);
  if (above == a.live.begin()) return false;
  const auto& [start, block] = *std::prev(above);
  return at + bytes <= start + block.bytes;
}

Running::Running(const char* what) : outer_(arena().what) {
  Arena& a = arena();
  a.what = what;
  if (a.running++ == 0 && a.keeps_host_out)
    for (const auto& [p, b] : a.live) protect(b, PROT_READ | PROT_WRITE);
}

Running::~Running() {
  Arena& a = arena();
  a.what = outer_;
  if (--a.running == 0 && a.keeps_host_out)
    for (const auto& [p, b] : a.live) protect(b, PROT_NONE);
}

}  // namespace telltale::fake_gpu
