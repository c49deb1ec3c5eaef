#pragma once
// Two items in flight: while a device computes one, the next is read and sent to it, and the one before comes back.
#include <cstddef>
#include <exception>
#include <functional>
#include <optional>
#include <span>
#include <utility>

namespace telltale {

/// Items in two halves: `enqueue` reads an item and gives it to a device, and what it returns waits for what comes of
/// it. With `overlap` (a GPU) the next item is enqueued before the present one is waited for: two are in flight at
/// most. Without (the host, which computes where it enqueues) each is done before the next is begun.
template <class Result>
class DoubleBuffer {
 public:
  using Collect = std::function<Result()>;
  using Enqueue = std::function<Collect(size_t item)>;
  DoubleBuffer(bool overlap, Enqueue enqueue) : overlap_(overlap), enqueue_(std::move(enqueue)) {}

  /// What comes of an item; `upcoming` begins with the item of the next call, if that is known (base/deal.h). Throws
  /// what a half of this item throws: the next one's error comes with the next call.
  Result operator()(size_t item, std::span<const size_t> upcoming) {
    if (!next_ || next_->item != item) next_ = enqueued(item);
    const InFlight present = std::move(*next_);
    next_.reset();
    if (present.error) std::rethrow_exception(present.error);
    if (overlap_ && !upcoming.empty()) next_ = enqueued(upcoming[0]);
    return present.collect();
  }
  /// The items below `count` in turn; take(item, what comes of it).
  template <class Take>
  void run(size_t count, const Take& take) {
    for (size_t item = 0; item < count; ++item) {
      const size_t next = item + 1;
      take(item, (*this)(item, std::span(&next, next < count ? 1 : 0)));
    }
  }

 private:
  struct InFlight {
    size_t item;
    Collect collect = {};
    std::exception_ptr error = {};
  };
  InFlight enqueued(size_t item) const {
    try {
      return {item, enqueue_(item)};
    } catch (...) {
      return {.item = item, .error = std::current_exception()};
    }
  }
  bool overlap_;
  Enqueue enqueue_;
  std::optional<InFlight> next_;
};

}  // namespace telltale
