#pragma once
// Host ↔ device without waiting: page-locked slots in turn, and a copy stream beside the one that computes.
#include <array>
#include <memory>
#include <vector>

#include "kernels/device/buffer.h"

namespace telltale {

/// Sends host memory to device tensors while the stream still computes on what came before. On the host it copies.
/// The stream must outlive it.
class Uploader {
 public:
  /// `bytes`: the most that one send() carries.
  Uploader(Stream& compute, size_t bytes);
  Uploader(Uploader&&) noexcept;
  ~Uploader();
  /// `from` may change as soon as this returns; work enqueued on the stream from here on finds it in `to`, earlier work
  /// what was there. Waits only while both slots are still on their way. Throws ShapeError above `bytes`.
  void send(Tensor to, const void* from);

 private:
  struct Slot;
  struct Ring;
  Stream* compute_;
  size_t bytes_;
  std::unique_ptr<Ring> ring_;  // null on the host
};

/// Brings device tensors to the host later: ask now, take when it is needed. On the host it copies when asked.
class Downloader {
 public:
  /// `bytes`: the most that one request() reads. `overlap`: work enqueued after a request does not wait for its way to
  /// the host, which costs a copy on the device first. The stream must outlive it.
  Downloader(Stream& compute, size_t bytes, bool overlap = false);
  Downloader(Downloader&&) noexcept;
  ~Downloader();
  /// Enqueues reading `from` as it will be after the work enqueued so far. Throws ShapeError above `bytes`, and when
  /// an earlier request was not taken.
  void request(Tensor from);
  /// Waits for the request and no longer; the bytes stay until the next one.
  const void* take();

 private:
  struct Slot;
  Stream* compute_;
  size_t bytes_;
  bool asked_ = false;
  std::vector<char> host_;      // on the host
  std::unique_ptr<Slot> slot_;  // on a GPU
};

/// Two Downloaders in turn, beside the work that follows: what is to come while the one before is taken.
class Readback {
 public:
  Readback(Stream& compute, size_t bytes)
      : slots_{Downloader(compute, bytes, true), Downloader(compute, bytes, true)} {}
  /// Downloader::request; returns the request's number. It takes the place of the last but one, taken or not.
  size_t request(Tensor from);
  /// Downloader::take of the last request or of the one before. Throws ShapeError for any other.
  const void* take(size_t number);

 private:
  std::array<Downloader, 2> slots_;
  std::array<bool, 2> waiting_{};
  size_t requests_ = 0;
};

}  // namespace telltale
