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
#include "base/clock.h"
#include "base/hash.h"
#include "data/dataset_pictures.h"
#include "kernels/device/philox.h"

namespace telltale {

namespace {

using Clock = std::chrono::steady_clock;

// Keep the random streams of shuffle, flips and augmentation apart.
constexpr uint64_t kShuffleStream = 0x5348'5546'464c'4500u, kFlipStream = 0x464c'4950'0000'0000u,
                   kAugmentStream = 0x4155'474d'0000'0000u;

// The pixel that lies nearest, centre to centre.
Grey resized(const Grey& mask, int size) {
  if (mask.width == size && mask.height == size) return mask;
  Grey out(size, size);
  for (int y = 0; y < size; ++y)
    for (int x = 0; x < size; ++x) {
      const int from_y = (2 * y + 1) * mask.height / (2 * size), from_x = (2 * x + 1) * mask.width / (2 * size);
      out.pixels[size_t(y) * size + x] = mask.pixels[size_t(from_y) * mask.width + from_x];
    }
  return out;
}

void mirror(Truth& truth) {
  truth.label.box = flip(truth.label.box, truth.width);
  Grey& mask = truth.mask;
  for (int y = 0; y < mask.height; ++y) {
    const auto row = mask.pixels.begin() + long(y) * mask.width;
    std::reverse(row, row + mask.width);
  }
}

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
  std::vector<int> to_fill;  // samples
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
        loaded_size(options.augment ? stored_size : size),
        image_bytes(size_t(size) * size * 3),
        loaded_bytes(size_t(loaded_size) * loaded_size * 3),
        cache(this->rows.size(), loaded_bytes, options.masks ? options.cache_bytes / 4 * 3 : options.cache_bytes),
        masks(options.masks ? this->rows.size() : 0, size_t(stored_size) * stored_size, options.cache_bytes / 4),
        ring(options.prefetch + 1),
        issued_before(this->rows.size()),
        taken_before(this->rows.size()) {
    for (Slot& slot : ring) {
      slot.batch.pixels.resize(image_bytes * options.batch);
      for (const Target& target : options.targets)
        slot.batch.targets.emplace_back(size_t(options.batch) * size_t(target.numbers));
      slot.batch.fake.resize(options.batch);
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
    slot.to_fill.clear();
    for (int i = 0; i < batch.count; ++i)
      if (!options.mine || options.mine(i, batch.count)) slot.to_fill.push_back(i);
    slot.missing = int(slot.to_fill.size());
    prepared = true;
    slot.error = nullptr;
    for (int i = 0; i < batch.count; ++i) {
      const int sample = batch.samples[i] = order[first + i];
      batch.fresh[i] = !(options.once && issued_before[sample]);
      issued_before[sample] = true;
      batch.rows[i] = rows[sample];
      batch.flip[i] = options.flip && flips(options.seed, batch.epoch, dataset.labels()[batch.rows[i]].id);
    }
  }

  // What a thread does outside the lock: sample `at` of a batch. Says whether it had to decode an image.
  bool fill(Batch& batch, size_t at) {
    const int sample = batch.samples[at], row = batch.rows[at];
    uint8_t* pixels = batch.pixels.data() + at * image_bytes;
    Example e{.image = {}, .truth = {dataset.labels()[row], stored_size, stored_size}};
    if (options.masks) e.truth.mask = mask_of(sample, row);
    bool decoded = false;
    if (options.augment) {
      e.image = Image(stored_size, stored_size);
      decoded = load(sample, e.image.rgb.data());
      augment(e, batch.epoch);
      std::memcpy(pixels, e.image.rgb.data(), image_bytes);
    } else {
      decoded = batch.fresh[at] && load(sample, pixels);
      if (options.masks) e.truth.mask = resized(e.truth.mask, size);
    }
    if (batch.flip[at]) mirror(e.truth);
    batch.fake[at] = e.truth.label.fake;
    for (size_t k = 0; k < options.targets.size(); ++k) {
      const Target& target = options.targets[k];
      target.write(e.truth, batch.targets[k].data() + at * size_t(target.numbers));
    }
    return decoded;
  }

  void augment(Example& e, int epoch) {
    const std::string id = e.truth.label.id;
    Random random(options.seed ^ fnv1a(id), kAugmentStream + uint64_t(epoch));
    options.augment(e, random);
    const Grey& mask = e.truth.mask;
    TT_CHECK(e.image.width == size && e.image.height == size && e.truth.width == size && e.truth.height == size &&
                 (!options.masks || (mask.width == size && mask.height == size)),
             ShapeError, "augmenting ", id, " left an image of ", e.image.width, "x", e.image.height, " and a mask of ",
             mask.width, "x", mask.height, ", expected ", size, "x", size);
  }

  Grey mask_of(int sample, int row) {
    Grey mask(stored_size, stored_size);
    if (!dataset.labels()[row].fake || masks.read(size_t(sample), mask.pixels.data())) return mask;
    mask = read_mask(dataset, row);
    masks.write(size_t(sample), mask.pixels.data());
    return mask;
  }

  // An image of loaded_size; says whether it had to be decoded.
  bool load(int sample, uint8_t* to) {
    if (cache.read(size_t(sample), to)) return false;
    Image image = read_picture(dataset, rows[sample]);
    if (loaded_size != stored_size) image = resize(image, loaded_size, loaded_size, Filter::bilinear);
    std::memcpy(to, image.rgb.data(), loaded_bytes);
    cache.write(size_t(sample), to);
    return true;
  }

  void work() {
    std::unique_lock lock(mutex);
    for (;;) {
      may_work.wait(lock, [&] { return stop || can_issue(); });
      if (stop) return;
      Slot& slot = slot_of(issued);
      if (!prepared) prepare(slot);
      const bool empty = slot.to_fill.empty();
      const int at = empty ? 0 : slot.to_fill[size_t(position++)];
      if (position == int(slot.to_fill.size())) {
        ++issued;
        position = 0;
        prepared = false;
      }
      if (empty) {
        may_take.notify_all();
        continue;
      }
      ++in_flight;
      lock.unlock();
      const auto begin = Clock::now();
      std::exception_ptr error;
      bool decoded = false;
      try {
        decoded = fill(slot.batch, size_t(at));
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
  const int stored_size, size, loaded_size;
  const size_t image_bytes, loaded_bytes;
  Cache cache, masks;

  std::mutex mutex;  // guards all that follows, but for the pixels of samples in flight
  std::condition_variable may_work, may_take;
  std::vector<Slot> ring;
  std::vector<bool> issued_before, taken_before;  // samples: put in some batch, handed to the consumer
  int64_t issued = 0, next = 0, end = 0;
  int position = 0, in_flight = 0;  // position: among to_fill of the batch `issued`
  bool prepared = false;            // the batch `issued`
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
  TT_CHECK(!options.augment || !options.once, UsageError,
           "loader: images that are handed out once cannot be augmented anew each epoch");
  TT_CHECK(!options.mine || !options.once, UsageError, "loader: images that are handed out once cannot be shared out");
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
  s.prepared = false;
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
