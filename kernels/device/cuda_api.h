#pragma once
// The few calls of the CUDA runtime that host code needs; in a build without CUDA each says so. Implemented once, in
// cuda_api.cu.
#include <cstddef>
#include <string>

namespace telltale::cuda_api {

/// Why no CUDA device can be used, in the runtime's own words; empty when one can.
std::string unavailable_reason();
std::string device_name(int ordinal);
int device_count();
/// The same for the same piece of hardware in every process, whatever number it has there.
std::string device_identity(int ordinal);
/// The device this thread works on: that of the stream it opened last.
int current_device();
/// All throw DeviceError on failure, but for the destroyers, which report to stderr.
void* create_stream(int ordinal);
void destroy_stream(void* stream);
void synchronize(void* stream);
void* allocate(size_t bytes);
void release(void* p);
void copy_to_device(void* stream, void* to, const void* from, size_t bytes);
void copy_to_host(void* stream, void* to, const void* from, size_t bytes);
void copy_on_device(void* stream, void* to, const void* from, size_t bytes);
void fill_zero(void* stream, void* to, size_t bytes);

/// Bytes free and in all on the current device.
struct Memory {
  size_t free = 0, total = 0;
};
Memory memory();
/// "580.159.04", or the CUDA version the driver serves where it does not say.
std::string driver_version();

/// Page-locked host memory, which copies without waiting.
void* allocate_pinned(size_t bytes);
void release_pinned(void* p);

void* create_event();
void destroy_event(void* event);
void record_event(void* event, void* stream);
/// What is enqueued on the stream from here on starts after the event.
void wait_event(void* stream, void* event);
/// Whether it has happened; does not wait.
bool has_happened(void* event);
/// Waits until the event has happened.
void synchronize_event(void* event);
/// Seconds from one event to a later one; waits for the later.
double seconds_between(void* from, void* to);

/// From here to end_capture, work given to the stream is recorded and not run; what cannot be recorded throws.
void begin_capture(void* stream);
/// The recording, ready to launch. Throws when something in it could not be recorded.
void* end_capture(void* stream);
/// Gives a recording up, whatever state it is in.
void abandon_capture(void* stream);
void launch_graph(void* graph, void* stream);
/// After a failure that was caught: the next launch is not blamed for it. What broke the device for good stays.
void forget_error();
void destroy_graph(void* graph);

}  // namespace telltale::cuda_api
