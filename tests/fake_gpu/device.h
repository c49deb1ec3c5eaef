#pragma once
// A CUDA device that is not there. Calls of the CUDA runtime, cuDNN, cuBLASLt and NCCL are answered by what lies in
// this folder, and kernels run as host loops, but on the terms of a device: work waits in its stream until something
// makes it run, device memory cannot be touched from the host, and what a recording forbids fails. It cannot say how
// fast anything is, what NVIDIA's compiler makes of a kernel, nor which numbers NVIDIA's libraries give.
//
// TT_FAKE_GPU sets it up, as "name=value,name=value":
//   memory=MIB      device memory in all (default 8192)
//   order=late      work runs when the host waits for it (default). `early`: as soon as it is given. `mixed`: some of
//   it
//                   at moments that look random and are the same on every run. Only `late` keeps the host out of
//                   device memory: with work that runs so often that would cost too much.
//   refuse=E        cuDNN's plans of engine E cannot be made
//   fail=E          those of engine E return an error when they are run
//   fault=E         those of engine E break the device for good
//   unrecordable=E  those of engine E run, but break a recording
//   wrong=E         those of engine E give 1.08 times the right result; `fused`: those of any that also give a batch
//                   norm's sums
//   hesitate=1      cuDNN makes no operation the first time it is asked for it
//   slow=E          those of engine E take 3 ms longer; E may be `all`, or several, as in 0+1
//   no_memory=N     the N-th allocation fails, counted from 1, and no other
//   trace=FILE      tells what the host does, a line each: "to_device BYTES", "to_host BYTES": it gives a copy; "runs
//   WHAT":
//                   work that a stream was given, by its own or a graph's launch, a kernel by its type's mangled name;
//                   "waits": for work that has not run yet
//   devices=N       so many devices, of which a process works on one (default 1)
//   nccl_fails=N    NCCL's N-th operation fails, counted from 1
#include <cuda_runtime_api.h>

#include <cstddef>
#include <functional>
#include <string>

namespace telltale::fake_gpu {

/// Gives a stream work, named in messages by `what`. In a recording it is kept and not run. What comes behind it waits
/// until `ready`, which is asked again and again once it is its turn.
cudaError_t enqueue(cudaStream_t stream, const char* what, std::function<void()> work,
                    std::function<bool()> ready = {});
/// Runs of every stream what needs not wait: a device does so by itself.
void run_what_is_ready();
/// Whether the stream records.
bool is_recording(cudaStream_t stream);
/// The stream's recording, if any, ends in an error.
void break_recording(cudaStream_t stream);
/// From when it runs on, every call fails with this error: what an illegal access does to a context.
void break_device(cudaError_t error);
/// Whether [p, p + bytes) lies in one live allocation of device memory.
bool is_device_memory(const void* p, size_t bytes);
/// The value of a setting of TT_FAKE_GPU, or `otherwise` where it has none.
std::string setting(const std::string& name, const std::string& otherwise = "");

}  // namespace telltale::fake_gpu
