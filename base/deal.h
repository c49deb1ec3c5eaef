#pragma once
// Much work of one kind, dealt to ranks: each takes more as it comes free, and rank 0 puts the results together in
// order.
#include <cstdint>
#include <functional>
#include <span>
#include <string>

#include "base/ranks.h"

namespace telltale {

/// How items are dealt.
struct Deal {
  size_t items = 0;
  size_t ahead = 1;    ///< at least so many of its items a rank shall know beforehand
  bool fixed = false;  ///< rank r has the items i with i % ranks = r, whoever is faster
};
/// Makes what belongs to an item; `upcoming`: what this rank will be asked for next, in order. Items come to a rank in
/// rising order.
template <class Result>
using MakeItem = std::function<Result(size_t item, std::span<const size_t> upcoming)>;

/// With results as bytes. See deal().
void deal_bytes(Ranks&, const Deal&, const MakeItem<std::string>& make,
                const std::function<void(size_t item, const std::string&)>& take);

/// Makes a result of every item, on some rank, and takes them all on rank 0 in the items' order, each as soon as those
/// before it are there. What `make` or `take` throws on any rank ends it, and is thrown on all. Alone: make and take,
/// one after the other. A Result goes to rank 0 as `pack` says.
template <class Result>
void deal(Ranks& ranks, const Deal& plan, const MakeItem<Result>& make,
          const std::function<void(size_t item, Result)>& take, const std::function<std::string(const Result&)>& pack,
          const std::function<Result(const std::string&)>& unpack) {
  if (!ranks.alone())
    return deal_bytes(
        ranks, plan, [&](size_t item, std::span<const size_t> upcoming) { return pack(make(item, upcoming)); },
        [&](size_t item, const std::string& bytes) { take(item, unpack(bytes)); });
  std::vector<size_t> all(plan.items);
  for (size_t i = 0; i < all.size(); ++i) all[i] = i;
  for (size_t i = 0; i < all.size(); ++i)
    take(i, make(i, std::span(all).subspan(i + 1, std::min(plan.ahead, all.size() - i - 1))));
}

}  // namespace telltale
