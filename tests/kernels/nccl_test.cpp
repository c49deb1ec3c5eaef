// What is declared of NCCL without its header, against the header and the library where they are.
#include "kernels/device/nccl.h"

#include <gtest/gtest.h>

#include "base/check.h"
#include "base/shared_library.h"
#include "kernels/device/nccl_api.h"
#if __has_include(<nccl.h>) && __has_include(<cuda_runtime.h>)
#include <nccl.h>
#endif

namespace telltale {
namespace {

#ifdef NCCL_VERSION_CODE
template <class Ours, class Theirs>
constexpr bool kSameCall = false;
template <class R, class... Ours, class S, class... Theirs>
constexpr bool kSameCall<R(Ours...), S(Theirs...)> = sizeof(R) == sizeof(S) && sizeof...(Ours) == sizeof...(Theirs) &&
                                                     ((sizeof(Ours) == sizeof(Theirs)) && ...);
static_assert(sizeof(ncclUniqueId) == sizeof(nccl::UniqueId) && int(ncclSuccess) == nccl::kSuccess &&
              int(ncclInt8) == nccl::kBytes);
static_assert(kSameCall<nccl::GetVersion, decltype(ncclGetVersion)> &&
              kSameCall<nccl::GetErrorString, decltype(ncclGetErrorString)> &&
              kSameCall<nccl::GetLastError, decltype(ncclGetLastError)> &&
              kSameCall<nccl::GetUniqueId, decltype(ncclGetUniqueId)> &&
              kSameCall<nccl::CommInitRank, decltype(ncclCommInitRank)> &&
              kSameCall<nccl::CommDestroy, decltype(ncclCommDestroy)> &&
              kSameCall<nccl::GroupStart, decltype(ncclGroupStart)> &&
              kSameCall<nccl::GroupEnd, decltype(ncclGroupEnd)> && kSameCall<nccl::Send, decltype(ncclSend)> &&
              kSameCall<nccl::Recv, decltype(ncclRecv)> && kSameCall<nccl::AllGather, decltype(ncclAllGather)>);
#endif

/// Without a GPU it binds every function, and makes a meeting place or says in its own words why not.
TEST(NcclLibrary, HasWhatIsCalled) {
  try {
    const SharedLibrary there{"libnccl.so.2"};
  } catch (const DeviceError& e) {
    EXPECT_THROW(Nccl::meeting(), DeviceError);
    GTEST_SKIP() << "no NCCL: " << e.what();
  }
  try {
    EXPECT_EQ(Nccl::meeting().size(), sizeof(nccl::UniqueId));
  } catch (const DeviceError& e) {
    EXPECT_TRUE(std::string(e.what()).starts_with("NCCL ")) << e.what();
  }
}

TEST(NcclLibrary, AMeetingPlaceIsRecognised) { EXPECT_THROW(Nccl("nowhere", 0, 2), Error); }

}  // namespace
}  // namespace telltale
