#pragma once
// The few calls of the CUDA runtime that host code needs; in a build without CUDA each says so. Implemented once, in
// cuda_api.cu.
#include <cstddef>
#include <string>

namespace telltale::cuda_api {

/// Why no CUDA device can be used, in the runtime's own words; empty when one can.
std::string unavailable_reason();
std::string device_name(int ordinal);
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

}  // namespace telltale::cuda_api
