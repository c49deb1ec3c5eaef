#pragma once
// The fake device's memory: the host cannot touch it, nor can a kernel what lies behind an allocation or was freed.
#include <cstddef>

namespace telltale::fake_gpu {

/// At least `bytes`, 256-byte aligned, full of NaN, ending where an unreadable page begins; null when `capacity` bytes
/// are used up.
void* allocate(size_t bytes, size_t capacity);
/// False where p is not a live allocation. Its addresses are never given out again.
bool release(void* p);
/// Bytes of live allocations.
size_t allocated();
bool is_device_memory(const void* p, size_t bytes);
/// Whether the host is kept out, which costs a system call an allocation whenever work begins or ends; to be said
/// before the first allocation. Work is kept to live allocations in any case.
void keep_host_out(bool);

/// While one lives, the memory may be touched: work of a stream runs. `what` is named should it fault.
class Running {
 public:
  explicit Running(const char* what);
  ~Running();
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;

 private:
  const char* outer_;
};

}  // namespace telltale::fake_gpu
