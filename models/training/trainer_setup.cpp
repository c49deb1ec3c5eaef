// What a trainer does before its first step: nets, initial weights, config.json.
#include <algorithm>

#include "base/log.h"
#include "data/dataset_pictures.h"
#include "kernels/device/cuda_api.h"
#include "models/device.h"
#include "models/training/trainer.h"

namespace telltale {

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(TrainProgress, step, results, epoch, batch, samples, positives, sums, best,
                                   best_epoch)

namespace {

using nlohmann::ordered_json;

constexpr int kHostMicroBatch = 32;  // larger passes are no faster on a CPU, and need more memory

/// The largest divisor of `batch` that is at most `limit`.
int divisor(int batch, int limit) {
  int d = std::min(batch, limit);
  while (batch % d != 0) --d;
  return d;
}

int64_t count_fakes(const Dataset& data, const std::vector<int>& rows) {
  return std::count_if(rows.begin(), rows.end(), [&](int row) { return data.labels()[size_t(row)].fake; });
}

}  // namespace

Trainer::Trainer(const Task& task, const TrainSettings& settings, Stream& stream, const Dataset& dataset)
    : Run(settings, stream, progress_),
      task_(task),
      settings_(settings),
      recipe_(task.recipe()),
      dataset_(dataset),
      train_rows_(dataset.rows(Split::train)),
      validation_rows_(dataset.rows(Split::validation)),
      heads_(task.heads(task.training_size(stored_size()))),
      validation_heads_(task.heads(stored_size())),
      update_(stream) {
  require_own_gpu(ranks(), stream);
  TT_CHECK(ranks().alone() || !stream.is_cuda() || !settings.sync_batchnorm, UsageError,
           "--sync-batchnorm: several processes share batch norms on CPUs only: give --device cpu");
  if (recipe_.limit > 0 && size_t(recipe_.limit) < train_rows_.size()) train_rows_.resize(size_t(recipe_.limit));
  const auto images = int64_t(train_rows_.size()), fakes = count_fakes(dataset, train_rows_);
  if (fakes == 0 || fakes == images)
    spdlog::warn("all {} training images are {}: there is nothing to tell apart", images, fakes ? "fake" : "real");
  for (const Head& h : heads_) figures_.insert(figures_.end(), h.figures.begin(), h.figures.end());
  progress_.sums.assign(figures_.size(), 0);
  check_readable(dataset, validation_rows_, task.masks(), settings.workers, ranks());  // not after a whole epoch
  build_programs();
  open_loader();
  std::string header = "epoch,lr,train_loss";
  for (const Figure& f : figures_) header += cat(",train_", f.name);
  header += ",val_loss";
  for (const Figure& f : figures_)
    if (f.kind == Figure::Kind::loss) header += cat(",val_", f.name);
  for (const std::string& name : task.validation_columns()) header += ",val_" + name;
  start_or_continue(header + "\n");
  rounds_.emplace(ranks(), *program_, settings.exchange, settings.sync_batchnorm);
  if (settings.sync_batchnorm) synced_.emplace(ranks());
  require_same_parameters(ranks(), *program_, "before the first step");
}

void Trainer::build_programs() {
  const int rows = int(train_rows_.size());
  const bool fixed = recipe_.micro_batch > 0;
  TT_CHECK(recipe_.micro_batch <= rows, UsageError, "the micro-batch ", recipe_.micro_batch, " is larger than the ",
           rows, " training images");
  micro_batch_ = fixed ? recipe_.micro_batch
                       : divisor(recipe_.batch, std::min({rows, stream_->is_cuda() ? recipe_.batch : kHostMicroBatch,
                                                          std::max(1, recipe_.batch / ranks().size())}));
  TT_CHECK(recipe_.batch / micro_batch_ >= ranks().size(), UsageError, "a step of ", recipe_.batch,
           " images in passes of ", micro_batch_, " is no work for ", ranks().size(),
           " processes: give a larger --batch, or a smaller --micro-batch");
  if (settings_.sync_batchnorm) {
    const int each = recipe_.batch / ranks().size();
    TT_CHECK(recipe_.batch % ranks().size() == 0 && (!fixed || recipe_.micro_batch == each) && recipe_.batch <= rows,
             UsageError, "--sync-batchnorm: each of ", ranks().size(),
             " processes runs one pass of a step, and a step has ", recipe_.batch, " of ", rows,
             " images: give a --batch that this divides, and no other --micro-batch");
    micro_batch_ = each;
  }
  keep_images_resident();
  const Tensor resident = resident_ ? resident_->images() : Tensor();
  while (!program_) {
    try {
      build_programs_of(resident);
    } catch (const DeviceError& e) {
      if (!stream_->is_cuda()) throw;
      program_.reset();
      if (fixed || settings_.sync_batchnorm || micro_batch_ == 1) {
        throw DeviceError(
            cat(e.what(), "; ", fitting_batch(task_, settings_, *stream_, dataset_), " images a pass would fit"));
      }
      spdlog::info("a pass over {} images does not fit ({})", micro_batch_, e.what());
      micro_batch_ = divisor(recipe_.batch, micro_batch_ - 1);
    }
  }
  pixels_upload_.emplace(*stream_, program_->tensor(net_.pixels).bytes());
  flip_upload_.emplace(*stream_, program_->tensor(net_.flip).bytes());
  for (const OwnedTensor& t : places_.targets) target_uploads_.emplace_back(*stream_, t.tensor.bytes());
}

void Trainer::build_programs_of(Tensor resident) {
  ProgramPlan plan = training_program(task_, settings_, *stream_, micro_batch_, stored_size(), resident);
  net_ = std::move(plan.net);
  program_ = std::make_unique<Program>(net_.graph, *stream_, plan.options);
  const int batch = std::min(micro_batch_, int(validation_rows_.size()));
  ProgramPlan judged = validation_program(task_, *stream_, batch, stored_size());
  const PictureGraph graph = judged.net;
  validation_ = std::make_unique<PictureNet>(std::move(judged.net), *stream_, judged.options);
  places_ = places_of(*program_, net_, heads_);
  validation_places_ = places_of(validation_->program(), graph, validation_heads_);
  gradients_.clear();
  for (const Program::Head& h : validation_places_.heads) {
    const Tensor y = validation_->program().tensor(h.pred);
    gradients_.emplace_back(stream_->place(), y.shape, y.dtype);
  }
}

Trainer::Places Trainer::places_of(Program& program, const PictureGraph& net, const std::vector<Head>& heads) const {
  Places p;
  for (size_t k = 0; k < heads.size(); ++k) {
    const Tensor y = program.tensor(net.heads[k]);
    Shape target = heads[k].target;
    target.n = y.shape.n;
    p.targets.emplace_back(stream_->place(), target, DType::f32);
    p.terms.emplace_back(stream_->place(), terms_shape(y.shape, *heads[k].loss), DType::f32);
  }
  for (size_t k = 0; k < heads.size(); ++k)
    p.heads.push_back({net.heads[k], heads[k].loss.get(), p.targets[k], p.terms[k]});
  return p;
}

void Trainer::keep_images_resident() {
  if (settings_.resident == "off") return;
  if (!ranks().alone() && settings_.resident == "auto") return;  // each needs but its passes' images
  const int images = int(train_rows_.size()), size = stored_size();
  const bool wanted = settings_.resident == "on";
  if (wanted) require_one_process(ranks(), "--resident on");
  if (training_batches(task_, settings_, size).augment) {
    TT_CHECK(!wanted, UsageError, "--resident on: this recipe changes the training images anew each epoch");
    return;
  }
  if (!wanted) {
    if (!stream_->is_cuda()) return;  // there the loader's cache is the same
    const size_t bytes = ResidentImages::footprint(*stream_, images, size, micro_batch_);
    const size_t programs =
        training_program(task_, settings_, *stream_, micro_batch_, size).footprint(*stream_).total() +
        validation_program(task_, *stream_, micro_batch_, size).footprint(*stream_).total();
    const size_t free = cuda_api::memory().free;
    if (bytes + programs > free / 10 * 8) {  // the rest is for libraries' workspaces, and for others
      spdlog::info(
          "the training images are sent anew each epoch: {} MB of them and {} MB for the net do not fit well "
          "in {} MB",
          bytes >> 20, programs >> 20, free >> 20);
      return;
    }
  }
  try {
    resident_.emplace(*stream_, images, size, micro_batch_);
  } catch (const DeviceError& e) {
    throw DeviceError(cat(e.what(), "; --resident off asks for no room for the training images"));
  }
  spdlog::info("{} training images of {} × {} pixels stay on the device, {:.1f} MB of bytes: each is decoded once",
               images, size, size, double(resident_->images().bytes()) / (1 << 20));
}

void Trainer::open_loader() {
  const int rows = int(train_rows_.size()), size = task_.training_size(stored_size());
  LoaderOptions o = training_batches(task_, settings_, stored_size());
  o.batch = std::min(recipe_.batch, rows);
  o.targets = targets_of(heads_);
  const int64_t bytes = int64_t(o.batch) * size * size * 3;
  if (!ranks().alone()) o.mine = [this](int at, int count) { return at < used_of(count) && runs(at / micro_batch_); };
  o.prefetch = int(std::clamp<int64_t>((int64_t(256) << 20) / bytes, 1, 4));
  o.once = resident_.has_value();
  o.cache_bytes = o.once ? 0 : size_t(settings_.cache_mb) << 20;
  loader_ = std::make_unique<Loader>(dataset_, train_rows_, o);

  const int tail = rows % o.batch;
  const int64_t steps = rows / o.batch + (used_of(tail) > 0);
  schedule_ = {schedule_of(recipe_.schedule), recipe_.lr, recipe_.warmup, steps * recipe_.epochs};
}

std::string Trainer::take_initial_weights() {
  if (settings_.init == "none") return "";
  return load_initial_weights(settings_.init, *program_, task_.weights_name(), task_.replaced_layer(), task_.encoder());
}

ordered_json Trainer::describe() const {
  ordered_json j = task_.bound();
  j["dataset"] = {{"path", dataset_.dir()},
                  {"labels_sha256", dataset_.labels_sha256()},
                  {"weights_sha256", dataset_.info().weights_sha256},
                  {"train", train_rows_.size()},
                  {"train_fakes", count_fakes(dataset_, train_rows_)},
                  {"validation", validation_rows_.size()}};
  j["micro_batch"] = micro_batch_;
  if (settings_.sync_batchnorm) j["sync_batchnorm"] = true;
  const ParameterCount parameters = count_parameters(program_->params());
  j["parameters"] = parameters.all;
  j["trained_parameters"] = parameters.trained;
  return j;
}

void Trainer::bind(const ordered_json& config, ordered_json& settings) const {
  settings.erase("micro_batch");  // as chosen: check_config
  const ordered_json bound = task_.bound();
  for (const auto& [name, value] : bound.items()) {
    if (config.contains(name)) settings[name] = config.at(name);
  }
  settings["sync_batchnorm"] = config.value("sync_batchnorm", false);
  settings["task"] = config.value("task", "detect");  // the only one there was before configs named it
  settings["dataset"] = config.at("dataset").at("labels_sha256");
  settings["dataset's inpainter"] = config.at("dataset").at("weights_sha256");
}

void Trainer::check_config(const ordered_json& config) const {
  if (settings_.sync_batchnorm) return;  // passes are the ranks'
  TT_CHECK(config.at("micro_batch") == micro_batch_, UsageError, folder_.path("config.json"),
           ": this run began with micro-batches of ", config.at("micro_batch").dump(), ", not ", micro_batch_,
           ": give --micro-batch ", config.at("micro_batch").dump());
}

Metadata Trainer::checkpoint_metadata() const {
  Metadata m = task_.metadata();
  m["kind"] = "checkpoint";
  return m;
}

nlohmann::json Trainer::progress_json() const { return progress_; }

void Trainer::take_progress(const nlohmann::json& j) {
  j.get_to(progress_);
  TT_CHECK(progress_.sums.size() == figures_.size(), DataError, "it sums ", progress_.sums.size(),
           " figures, and this task has ", figures_.size());
}

}  // namespace telltale
