// NCCL's calls that kernels/device/nccl.cpp makes, between processes of one machine: what one gives another is a file
// in a folder that they share. Refuses memory that is not the device's. As on a GPU an operation is done when all have
// made it, whatever their hosts do meanwhile: a thread runs the streams.
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "kernels/device/nccl_api.h"
#include "tests/fake_gpu/device.h"

using namespace telltale;            // NOLINT: every line here is about it
using namespace telltale::fake_gpu;  // NOLINT

namespace {

namespace fs = std::filesystem;
constexpr nccl::Result kCudaError = 1, kSystemError = 2, kInternalError = 3, kInvalidArgument = 4, kInvalidUsage = 5;

struct Message {
  char* at;
  size_t bytes;
  int with;
};

struct Joined {
  fs::path folder;
  int rank, ranks;
  std::map<int, uint64_t> sent = {}, received = {};  // so far, to and from whom
};

/// What is called between ncclGroupStart and ncclGroupEnd.
struct Group {
  bool open = false;
  Joined* joined = nullptr;
  cudaStream_t stream = nullptr;
  std::vector<Message> sent, received;
} group;
uint64_t operations = 0;

/// While there is a communicator.
std::thread runner;
std::atomic<int> communicators = 0;

fs::path letter(const Joined& j, int from, int to, uint64_t number) {
  return j.folder / (std::to_string(from) + "-" + std::to_string(to) + "-" + std::to_string(number));
}

void put(const fs::path& path, const char* bytes, size_t size) {
  const fs::path fresh = path.string() + ".new";
  std::ofstream(fresh, std::ios::binary).write(bytes, std::streamsize(size));
  std::error_code error;
  fs::rename(fresh, path, error);
  if (error) break_device(cudaErrorUnknown);
}

/// What is sent goes out when its turn comes, and what comes is awaited behind that.
int enqueue_operation(Joined& j, const std::vector<Message>& sent, const std::vector<Message>& received,
                      cudaStream_t stream) {
  if (std::to_string(++operations) == setting("nccl_fails")) return kInternalError;
  for (const auto* messages : {&sent, &received})
    for (const Message& m : *messages)
      if (!is_device_memory(m.at, m.bytes) || m.with < 0 || m.with >= j.ranks) return kInvalidArgument;
  const auto send = [&j, sent] {
    for (const Message& m : sent) put(letter(j, j.rank, m.with, j.sent[m.with]++), m.at, m.bytes);
  };
  const auto came = [&j, received] {
    return std::all_of(received.begin(), received.end(),
                       [&](const Message& m) { return fs::exists(letter(j, m.with, j.rank, j.received[m.with])); });
  };
  const auto take = [&j, received] {
    for (const Message& m : received) {
      const fs::path path = letter(j, m.with, j.rank, j.received[m.with]++);
      if (fs::file_size(path) != m.bytes) {
        std::fprintf(stderr, "fake NCCL: rank %d waits for %zu bytes of rank %d, which sent others\n", j.rank, m.bytes,
                     m.with);
        break_device(cudaErrorUnknown);
        return;
      }
      std::ifstream(path, std::ios::binary).read(m.at, std::streamsize(m.bytes));
      fs::remove(path);
    }
  };
  const bool fine = enqueue(stream, "what NCCL sends", send) == cudaSuccess &&
                    enqueue(stream, "what NCCL receives", take, came) == cudaSuccess;
  return fine ? nccl::kSuccess : kCudaError;
}

int in_group(Joined* j, void* stream) {
  if (!group.open || (group.joined && (group.joined != j || group.stream != stream))) return kInvalidUsage;
  group.joined = j;
  group.stream = static_cast<cudaStream_t>(stream);
  return nccl::kSuccess;
}

}  // namespace

extern "C" {

nccl::Result ncclGetVersion(int* version) {
  *version = 22809;
  return nccl::kSuccess;
}
const char* ncclGetErrorString(nccl::Result result) {
  switch (result) {
    case nccl::kSuccess: return "no error";
    case kCudaError: return "unhandled cuda error";
    case kSystemError: return "unhandled system error";
    case kInternalError: return "internal error";
    case kInvalidArgument: return "invalid argument";
    default: return "invalid usage";
  }
}
const char* ncclGetLastError(nccl::Communicator) { return ""; }

nccl::Result ncclGetUniqueId(nccl::UniqueId* id) {
  char folder[] = "/tmp/fake_nccl_XXXXXX";
  if (!mkdtemp(folder)) return kSystemError;
  *id = {};
  std::memcpy(id->bytes, folder, sizeof folder);
  return nccl::kSuccess;
}

nccl::Result ncclCommInitRank(nccl::Communicator* communicator, int ranks, nccl::UniqueId id, int rank) {
  auto joined = std::make_unique<Joined>(Joined{id.bytes, rank, ranks});
  std::ofstream(joined->folder / std::to_string(rank));
  for (int r = 0; r < ranks; ++r)
    while (!fs::exists(joined->folder / std::to_string(r))) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  *communicator = joined.release();
  if (communicators++ == 0)
    runner = std::thread([] {
      while (communicators > 0) {
        run_what_is_ready();
        std::this_thread::sleep_for(std::chrono::microseconds(100));
      }
    });
  return nccl::kSuccess;
}

nccl::Result ncclCommDestroy(nccl::Communicator communicator) {
  const std::unique_ptr<Joined> joined(static_cast<Joined*>(communicator));
  if (--communicators == 0) runner.join();
  std::ofstream(joined->folder / ("left-" + std::to_string(joined->rank)));
  for (int r = 0; r < joined->ranks; ++r)
    if (!fs::exists(joined->folder / ("left-" + std::to_string(r)))) return nccl::kSuccess;
  std::error_code another_does;
  fs::remove_all(joined->folder, another_does);
  return nccl::kSuccess;
}

nccl::Result ncclGroupStart() {
  if (group.open) return kInvalidUsage;
  group.open = true;
  return nccl::kSuccess;
}
nccl::Result ncclGroupEnd() {
  const Group whole = std::exchange(group, {});
  if (!whole.open) return kInvalidUsage;
  return whole.joined ? enqueue_operation(*whole.joined, whole.sent, whole.received, whole.stream) : nccl::kSuccess;
}
nccl::Result ncclSend(const void* from, size_t count, int type, int to, nccl::Communicator c, void* stream) {
  if (type != nccl::kBytes) return kInvalidArgument;
  group.sent.push_back({static_cast<char*>(const_cast<void*>(from)), count, to});
  return in_group(static_cast<Joined*>(c), stream);
}
nccl::Result ncclRecv(void* to, size_t count, int type, int from, nccl::Communicator c, void* stream) {
  if (type != nccl::kBytes) return kInvalidArgument;
  group.received.push_back({static_cast<char*>(to), count, from});
  return in_group(static_cast<Joined*>(c), stream);
}
nccl::Result ncclAllGather(const void* mine, void* all, size_t count, int type, nccl::Communicator c, void* stream) {
  if (type != nccl::kBytes || group.open) return kInvalidUsage;
  auto& j = *static_cast<Joined*>(c);
  std::vector<Message> sent, received;
  for (int r = 0; r < j.ranks; ++r) {
    sent.push_back({static_cast<char*>(const_cast<void*>(mine)), count, r});
    received.push_back({static_cast<char*>(all) + size_t(r) * count, count, r});
  }
  return enqueue_operation(j, sent, received, static_cast<cudaStream_t>(stream));
}

}  // extern "C"
