#pragma once
// What NCCL's C interface looks like, as far as it is called here (nccl.h, version 2): programs are built without it.
#include <cstddef>

namespace telltale::nccl {

struct UniqueId {
  char bytes[128];
};
using Communicator = void*;  // ncclComm_t
using Result = int;          // ncclResult_t
constexpr Result kSuccess = 0;
constexpr int kBytes = 0;  // ncclInt8

using GetVersion = Result(int*);
using GetErrorString = const char*(Result);
using GetLastError = const char*(Communicator);
using GetUniqueId = Result(UniqueId*);
using CommInitRank = Result(Communicator*, int ranks, UniqueId, int rank);
using CommDestroy = Result(Communicator);
using GroupStart = Result();
using GroupEnd = Result();
using Send = Result(const void*, size_t count, int type, int to, Communicator, void* stream);
using Recv = Result(void*, size_t count, int type, int from, Communicator, void* stream);
using AllGather = Result(const void*, void*, size_t count_of_one, int type, Communicator, void* stream);

}  // namespace telltale::nccl
