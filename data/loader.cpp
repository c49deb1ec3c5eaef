#include "data/loader.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <exception>
#include <mutex>
#include <numeric>
#include <thread>

#include "base/check.h"
#include "base/hash.h"
#include "data/codec.h"
#include "kernels/device/philox.h"

namespace telltale {

namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

// Keeps the shuffle's random stream apart from the flips'.
constexpr uint64_t kShuffleStream = 0x5348'5546'464c'4500u, kFlipStream = 0x464c'4950'0000'0000u;

// Decoded images, as many of the first samples as fit. Each is written by one thread once, then only read.
class Cache {
 public:
  Cache(size_t samples, size_t image_bytes, size_t budget)
      : image_bytes_(image_bytes), state_(std::min(samples, budget / image_bytes)) {
    pixels_ = std::make_unique_for_overwrite<uint8_t[]>(state_.size() * image_bytes);
  }
  bool read(size_t sample, uint8_t* to) const {
    if (sample >= state_.size() || state_[sample].load(std::memory_order_acquire) != kFull) return false;
    std::memcpy(to, at(sample), image_bytes_);
    return true;
  }
  void write(size_t sample, const uint8_t* from) {
    uint8_t expected = kEmpty;
    if (sample >= state_.size() || !state_[sample].compare_exchange_strong(expected, kBeingFilled)) return;
    std::memcpy(at(sample), from, image_bytes_);
    state_[sample].store(kFull, std::memory_order_release);
  }

 private:
  static constexpr uint8_t kEmpty = 0, kBeingFilled = 1, kFull = 2;
  uint8_t* at(size_t sample) const { return pixels_.get() + sample * image_bytes_; }
  size_t image_bytes_;
  std::vector<std::atomic<uint8_t>> state_;
  std::unique_ptr<uint8_t[]> pixels_;
};

// A place in the ring. `missing` samples are still to be filled; the first failure by position is kept, so that the
// error does not depend on timing either.
struct Slot {
  Batch batch;
  int missing = 0;
  std::exception_ptr error;
  int error_position = 0;
};

}  // namespace

std::vector<int> epoch_order(int count, uint64_t seed, int epoch) {
  std::vector<int> order(count);
  std::iota(order.begin(), order.end(), 0);
  Random random(seed, kShuffleStream + uint64_t(epoch));
  for (int i = count - 1; i > 0; --i) std::swap(order[i], order[random.integer(0, i)]);
  return order;
}

bool flips(uint64_t seed, int epoch, const std::string& id) {
  return philox(seed, fnv1a(id), kFlipStream + uint64_t(epoch)).v[0] & 1;
}

// Batches are numbered on through all epochs. `issued` is the batch that is being handed out to the threads sample by
// sample, `next` the one that the consumer gets next; the ring holds those between, and the one in the consumer's
// hands.
struct Loader::State {
  State(const Dataset& dataset, std::vector<int> rows, const LoaderOptions& options)
      : dataset(dataset),
        rows(std::move(rows)),
        options(options),
        stored_size(dataset.info().size),
        size(options.size ? options.size : stored_size),
        image_bytes(size_t(size) * size * 3),
        cache(this->rows.size(), image_bytes, options.cache_bytes),
        ring(options.prefetch + 1),
        issued_before(this->rows.size()),
        taken_before(this->rows.size()) {
    for (Slot& slot : ring) {
      slot.batch.pixels.resize(image_bytes * options.batch);
      slot.batch.targets.resize(size_t(options.batch) * 5);
      slot.batch.flip.resize(options.batch);
      slot.batch.rows.resize(options.batch);
      slot.batch.size = size;
      slot.batch.samples.resize(options.batch);
      slot.batch.fresh.resize(options.batch);
    }
  }

  int batches() const { return (int(rows.size()) + options.batch - 1) / options.batch; }
  Slot& slot_of(int64_t number) { return ring[number % int64_t(ring.size())]; }
  bool can_issue() const { return issued < end && issued - next + (held ? 1 : 0) < int64_t(ring.size()); }

  void prepare(Slot& slot) {
    Batch& batch = slot.batch;
    batch.epoch = int(issued / batches());
    batch.index = int(issued % batches());
    if (order_epoch != batch.epoch) {
      order = epoch_order(int(rows.size()), options.seed, batch.epoch);
      if (!options.shuffle) std::iota(order.begin(), order.end(), 0);
      order_epoch = batch.epoch;
    }
    const int first = batch.index * options.batch;
    batch.count = std::min(options.batch, int(rows.size()) - first);
    slot.missing = batch.count;
    slot.error = nullptr;
    for (int i = 0; i < batch.count; ++i) {
      const int sample = batch.samples[i] = order[first + i];
      batch.fresh[i] = !(options.once && issued_before[sample]);
      issued_before[sample] = true;
      batch.rows[i] = rows[sample];
      const Label& label = dataset.labels()[batch.rows[i]];
      batch.flip[i] = options.flip && flips(options.seed, batch.epoch, label.id);
      const Box box = batch.flip[i] ? telltale::flip(label.box, stored_size) : label.box;
      const float unit = float(stored_size);
      const float target[5]{float(label.fake), box.x_min / unit, box.y_min / unit, box.x_max / unit, box.y_max / unit};
      std::copy_n(target, 5, batch.targets.data() + size_t(i) * 5);
    }
  }

  // What a thread does outside the lock; says whether it had to decode.
  bool load(int sample, uint8_t* to) {
    if (cache.read(size_t(sample), to)) return false;
    const std::string path = dataset.image_path(rows[sample]);
    Image image = read_image(path);
    TT_CHECK(image.width == stored_size && image.height == stored_size, DataError, path, ": is ", image.width, "x",
             image.height, ", and dataset.json says ", stored_size, "x", stored_size);
    if (size != stored_size) image = resize(image, size, size, Filter::bilinear);
    std::memcpy(to, image.rgb.data(), image_bytes);
    cache.write(size_t(sample), to);
    return true;
  }

  void work() {
    std::unique_lock lock(mutex);
    for (;;) {
      may_work.wait(lock, [&] { return stop || can_issue(); });
      if (stop) return;
      Slot& slot = slot_of(issued);
      if (position == 0) prepare(slot);
      const int at = position++;
      if (position == slot.batch.count) {
        ++issued;
        position = 0;
      }
      ++in_flight;
      lock.unlock();
      const auto begin = Clock::now();
      std::exception_ptr error;
      bool decoded = false;
      try {
        Batch& batch = slot.batch;
        decoded = batch.fresh[at] && load(batch.samples[at], batch.pixels.data() + size_t(at) * image_bytes);
      } catch (...) {
        error = std::current_exception();
      }
      const double spent = seconds_since(begin);
      lock.lock();
      --in_flight;
      if (error && (!slot.error || at < slot.error_position)) {
        slot.error = error;
        slot.error_position = at;
      }
      if (decoded) {
        ++stats.decoded;
        stats.decode_seconds += spent;
      } else if (!error) {
        ++stats.cached;
      }
      if (--slot.missing == 0 || in_flight == 0) may_take.notify_all();
    }
  }

  const Dataset& dataset;
  const std::vector<int> rows;
  const LoaderOptions options;
  const int stored_size, size;
  const size_t image_bytes;
  Cache cache;

  std::mutex mutex;  // guards all that follows, but for the pixels of samples in flight
  std::condition_variable may_work, may_take;
  std::vector<Slot> ring;
  std::vector<bool> issued_before, taken_before;  // samples: put in some batch, handed to the consumer
  int64_t issued = 0, next = 0, end = 0;
  int position = 0, in_flight = 0;
  bool held = false, stop = false;
  std::vector<int> order;
  int order_epoch = -1;
  LoaderStats stats;
  Clock::time_point started = Clock::now();
  std::vector<std::thread> threads;
};

Loader::Loader(const Dataset& dataset, std::vector<int> rows, const LoaderOptions& options) {
  TT_CHECK(!rows.empty(), UsageError, "loader: no rows to load");
  TT_CHECK(options.batch >= 1 && options.batch <= 65536, UsageError, "batch ", options.batch, ": expected 1 to 65536");
  TT_CHECK(options.prefetch >= 1 && options.prefetch <= 1024, UsageError, "prefetch ", options.prefetch,
           ": expected 1 to 1024");
  TT_CHECK(options.size >= 0 && options.size <= 16384, UsageError, "size ", options.size, ": expected 0 to 16384");
  TT_CHECK(options.threads >= 0 && options.threads <= 1024, UsageError, "threads ", options.threads,
           ": expected 0 to 1024");
  for (const int row : rows)
    TT_CHECK(row >= 0 && row < int(dataset.labels().size()), UsageError, "loader: row ", row, " of ",
             dataset.labels().size());
  state_ = std::make_unique<State>(dataset, std::move(rows), options);
  const int threads = options.threads ? options.threads : std::max(1, int(std::thread::hardware_concurrency()));
  try {
    for (int i = 0; i < threads; ++i) state_->threads.emplace_back([state = state_.get()] { state->work(); });
  } catch (...) {
    shut_down();
    throw;
  }
}

Loader::~Loader() { shut_down(); }

void Loader::shut_down() {
  {
    const std::lock_guard lock(state_->mutex);
    state_->stop = true;
  }
  state_->may_work.notify_all();
  for (std::thread& thread : state_->threads) thread.join();
}

int Loader::batches() const { return state_->batches(); }

void Loader::start(int epoch, int first_batch, int end_epoch) {
  TT_CHECK(epoch >= 0 && first_batch >= 0 && first_batch < batches() && end_epoch >= epoch, UsageError,
           "loader: cannot start at epoch ", epoch, ", batch ", first_batch, " of ", batches());
  State& s = *state_;
  std::unique_lock lock(s.mutex);
  s.end = s.issued;  // nothing more is handed out, though a batch may stay half done
  s.may_take.wait(lock, [&] { return s.in_flight == 0; });
  s.issued = s.next = int64_t(epoch) * s.batches() + first_batch;
  s.issued_before = s.taken_before;
  s.end = int64_t(end_epoch) * s.batches();
  s.position = 0;
  s.held = false;
  s.stats = {};
  s.started = Clock::now();
  s.may_work.notify_all();
}

const Batch* Loader::next() {
  State& s = *state_;
  std::unique_lock lock(s.mutex);
  s.held = false;
  s.may_work.notify_all();
  if (s.next >= s.end) return nullptr;
  const auto begin = Clock::now();
  Slot& slot = s.slot_of(s.next);
  s.may_take.wait(lock, [&] { return s.issued > s.next && slot.missing == 0; });
  s.stats.wait_seconds += seconds_since(begin);
  ++s.next;
  s.held = true;
  if (slot.error) std::rethrow_exception(slot.error);
  for (int i = 0; i < slot.batch.count; ++i) s.taken_before[slot.batch.samples[i]] = true;
  return &slot.batch;
}

LoaderStats Loader::stats() const {
  const std::lock_guard lock(state_->mutex);
  LoaderStats stats = state_->stats;
  stats.total_seconds = seconds_since(state_->started);
  return stats;
}

}  // namespace telltale
