#include "kernels/device/nccl.h"

#include <cstring>

#include "base/check.h"
#include "base/shared_library.h"
#include "kernels/device/nccl_api.h"

namespace telltale {
namespace {

struct Library {
  nccl::GetVersion* version;
  nccl::GetErrorString* error_string;
  nccl::GetLastError* last_error;
  nccl::GetUniqueId* unique_id;
  nccl::CommInitRank* init;
  nccl::CommDestroy* destroy;
  nccl::GroupStart* group_start;
  nccl::GroupEnd* group_end;
  nccl::Send* send;
  nccl::Recv* recv;
  nccl::AllGather* all_gather;
};

Library load() {
  const SharedLibrary so{"libnccl.so.2"};
  Library l{};
  so.bind(l.version, "ncclGetVersion");
  so.bind(l.error_string, "ncclGetErrorString");
  so.bind(l.last_error, "ncclGetLastError");
  so.bind(l.unique_id, "ncclGetUniqueId");
  so.bind(l.init, "ncclCommInitRank");
  so.bind(l.destroy, "ncclCommDestroy");
  so.bind(l.group_start, "ncclGroupStart");
  so.bind(l.group_end, "ncclGroupEnd");
  so.bind(l.send, "ncclSend");
  so.bind(l.recv, "ncclRecv");
  so.bind(l.all_gather, "ncclAllGather");
  return l;
}

const Library& library() {
  static const Library loaded = load();
  return loaded;
}

void require(nccl::Result result, nccl::Communicator communicator = nullptr) {
  if (result == nccl::kSuccess) return;
  int version = 0;
  library().version(&version);
  const char* more = library().last_error(communicator);
  throw DeviceError(
      cat("NCCL ", version, ": ", library().error_string(result), more && *more ? "; " : "", more ? more : ""));
}

}  // namespace

std::string Nccl::meeting() {
  nccl::UniqueId id;
  require(library().unique_id(&id));
  return {id.bytes, sizeof id.bytes};
}

Nccl::Nccl(const std::string& meeting, int rank, int size) {
  nccl::UniqueId id;
  TT_CHECK(meeting.size() == sizeof id.bytes, Error, "this is no place where NCCL's processes meet");
  std::memcpy(id.bytes, meeting.data(), sizeof id.bytes);
  require(library().init(&communicator_, size, id, rank));
}

Nccl::~Nccl() { library().destroy(communicator_); }

void Nccl::exchange(Stream& s, std::span<const Tensor> given, std::span<const Tensor> taken) {
  const auto sent = [&](nccl::Result result) {
    if (result == nccl::kSuccess) return;
    library().group_end();  // or what comes next would belong to it
    require(result, communicator_);
  };
  require(library().group_start());
  for (size_t r = 0; r < given.size(); ++r) {
    if (given[r])
      sent(library().send(given[r].data, given[r].bytes(), nccl::kBytes, int(r), communicator_, s.native()));
    if (taken[r])
      sent(library().recv(taken[r].data, taken[r].bytes(), nccl::kBytes, int(r), communicator_, s.native()));
  }
  require(library().group_end(), communicator_);
}

void Nccl::gather(Stream& s, Tensor mine, Tensor all) {
  require(library().all_gather(mine.data, all.data, mine.bytes(), nccl::kBytes, communicator_, s.native()),
          communicator_);
}

}  // namespace telltale
