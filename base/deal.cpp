#include "base/deal.h"

#include <algorithm>
#include <list>
#include <map>
#include <utility>

#include "base/interrupt.h"
#include "base/outcome.h"
#include "base/ranks_mpi.h"

namespace telltale {
namespace {

constexpr int kNoteTag = 1, kBodyTag = 2;
constexpr size_t kLeastQueue = 3;  // the answer to a result may take as long as rank 0 works at an item of its own

/// Between rank 0 and another: of a result's arrival, and the answer.
struct Note {
  enum Kind : int64_t { result, bye, signal, more, no_more, stop };
  int64_t kind = result, item = 0, bytes = 0;
};

}  // namespace

class Dealer {
 public:
  Dealer(Ranks& ranks, const Deal& plan, const MakeItem<std::string>& make,
         const std::function<void(size_t, const std::string&)>& take)
      : ranks_(ranks), plan_(plan), make_(make), take_(take) {
    const auto each = size_t(ranks.size());
    // The first items of all are known to all; small jobs are dealt one by one, so that all end together.
    const size_t rows = plan.fixed ? plan.items / each + 1
                                   : std::clamp(plan.items / (2 * each), size_t(1), std::max(kLeastQueue, plan.ahead));
    for (size_t row = 0; row < rows; ++row)
      if (const size_t item = row * each + size_t(ranks.rank()); item < plan.items) queue_.push_back(item);
    next_ = std::min(plan.items, rows * each);
  }

  void run() {
    ranks_.leads() ? lead() : follow();
    ranks_.lead([&] {
      if (!why_.empty()) text_of(why_);
    });
  }

 private:
  struct Receiving {
    int number;
    size_t item;
    std::string bytes;
  };
  struct Sending {
    int number;
    Note note;
    std::string bytes;
  };

  bool idle() const { return at_ == queue_.size(); }
  void drop_queue() { queue_.resize(at_); }
  std::string make_next() {
    const size_t item = queue_[at_++];
    return outcome_of([&] { return make_(item, std::span(queue_).subspan(at_)); });
  }

  void lead() {
    size_t taken = 0;
    while (byes_ + 1 < ranks_.size() || !receiving_.empty() || !idle() || (why_.empty() && taken < plan_.items)) {
      if (idle()) {
        ranks_.await([&] { return serve(); });
      } else {
        const size_t item = queue_[at_];
        arrived(item, make_next());
        if (why_.empty() && next_ < plan_.items) queue_.push_back(next_++);
      }
      while (serve()) {
      }
      for (; why_.empty() && ready_.contains(taken); ++taken) {
        const std::string said = outcome_of([&] {
          take_(taken, text_of(ready_.at(taken)));
          return std::string();
        });
        ready_.erase(taken);
        if (failed(said)) why_ = said;
      }
      if (!why_.empty()) drop_queue();
    }
    flush();
  }

  void arrived(size_t item, std::string outcome) {
    if (failed(outcome) && why_.empty()) why_ = outcome;
    ready_[item] = std::move(outcome);
  }

  /// Rank 0 looks at what came; returns whether something did.
  bool serve() {
    bool any = false;
    for (auto r = receiving_.begin(); r != receiving_.end();) {
      if (!ranks_.mpi_->finished(r->number)) {
        ++r;
        continue;
      }
      any = true;
      arrived(r->item, std::move(r->bytes));
      r = receiving_.erase(r);
    }
    int from = 0;
    if (!ranks_.mpi_->came(kNoteTag, &from)) return any;
    const Note note = read_note(from);
    if (note.kind == Note::signal) interrupt();  // whoever works here looks at that
    byes_ += note.kind == Note::bye;
    if (note.kind != Note::result) return true;
    Note answer{.kind = why_.empty() ? Note::no_more : Note::stop};
    if (why_.empty() && next_ < plan_.items) answer = {.kind = Note::more, .item = int64_t(next_++)};
    send(from, answer);
    Receiving& body = receiving_.emplace_back(Receiving{0, size_t(note.item), std::string(size_t(note.bytes), 0)});
    body.number = ranks_.mpi_->receive(from, kBodyTag, body.bytes.data(), int(note.bytes));
    return true;
  }

  void follow() {
    size_t owed = 0;  // answers
    bool told = false;
    while (!idle() || owed > 0) {
      int from = 0;
      const auto came = [&] { return ranks_.mpi_->came(kNoteTag, &from) != 0; };
      if (idle()) ranks_.await(came);
      for (; owed > 0 && came(); --owed) {
        const Note answer = read_note(0);
        if (answer.kind == Note::more) queue_.push_back(size_t(answer.item));
        if (answer.kind == Note::stop) drop_queue();
      }
      if (idle()) continue;
      if (interrupted() && !std::exchange(told, true)) send(0, {.kind = Note::signal});
      const size_t item = queue_[at_];
      send(0, {.kind = Note::result, .item = int64_t(item)}, make_next());
      ++owed;
    }
    send(0, {.kind = Note::bye});
    flush();
  }

  Note read_note(int from) {
    Note note;
    const int number = ranks_.mpi_->receive(from, kNoteTag, &note, sizeof note);
    ranks_.await([&] { return ranks_.mpi_->finished(number) != 0; });
    return note;
  }

  void send(int to, const Note& note, std::string body = {}) {
    TT_CHECK(body.size() < size_t(INT32_MAX), Error, "a result of ", body.size(), " bytes is too large to send");
    std::erase_if(sending_, [&](const Sending& s) { return ranks_.mpi_->finished(s.number) != 0; });
    Sending& head = sending_.emplace_back(Sending{0, note, {}});
    head.note.bytes = int64_t(body.size());
    head.number = ranks_.mpi_->send(to, kNoteTag, &head.note, sizeof(Note));
    if (note.kind != Note::result) return;
    Sending& rest = sending_.emplace_back(Sending{0, {}, std::move(body)});
    rest.number = ranks_.mpi_->send(to, kBodyTag, rest.bytes.data(), int(rest.bytes.size()));
  }

  void flush() {
    for (const Sending& s : sending_) ranks_.await([&] { return ranks_.mpi_->finished(s.number) != 0; });
    sending_.clear();
  }

  Ranks& ranks_;
  const Deal& plan_;
  const MakeItem<std::string>& make_;
  const std::function<void(size_t, const std::string&)>& take_;
  std::vector<size_t> queue_;  ///< this rank's items, those before at_ are made
  size_t at_ = 0, next_ = 0;   ///< next_: the first item that nobody has, where rank 0 counts
  std::map<size_t, std::string> ready_;
  std::list<Receiving> receiving_;
  std::list<Sending> sending_;
  std::string why_;  ///< the outcome that ended it
  int byes_ = 0;
};

void deal_bytes(Ranks& ranks, const Deal& plan, const MakeItem<std::string>& make,
                const std::function<void(size_t, const std::string&)>& take) {
  if (!ranks.alone()) return Dealer(ranks, plan, make, take).run();
  deal<std::string>(
      ranks, plan, make, [&](size_t item, const std::string& bytes) { take(item, bytes); },
      [](const std::string& bytes) { return bytes; }, [](const std::string& bytes) { return bytes; });
}

}  // namespace telltale
