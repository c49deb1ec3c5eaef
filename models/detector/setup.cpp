// What a trainer does before its first step: nets, initial weights, config.json, the place to continue from.
#include "base/log.h"
#include "base/sha256.h"
#include "kernels/device/cuda_api.h"
#include "losses/loss.h"
#include "models/detector/check.h"
#include "models/detector/trainer.h"
#include "models/device.h"
#include "nets/nets.h"
#include "weights/names.h"
#include "weights/weights_file.h"

namespace telltale {
namespace {

constexpr int kHostMicroBatch = 32;  // larger passes are no faster on a CPU, and need more memory
constexpr const char* kResultsHeader =
    "epoch,lr,train_loss,train_classification,train_box,train_accuracy,train_mean_iou,val_loss,val_classification,"
    "val_box,val_precision,val_recall,val_f1,val_auc,val_mean_iou\n";

/// The largest divisor of `batch` that is at most `limit`.
int divisor(int batch, int limit) {
  int d = std::min(batch, limit);
  while (batch % d != 0) --d;
  return d;
}

int64_t count_fakes(const Dataset& data, const std::vector<int>& rows) {
  return std::count_if(rows.begin(), rows.end(), [&](int row) { return data.labels()[size_t(row)].fake; });
}

/// What must be the same when a run goes on: name → value.
nlohmann::ordered_json binding_settings(const nlohmann::ordered_json& config) {
  nlohmann::ordered_json settings = config.at("recipe");
  for (const char* name : {"description", "micro_batch"}) settings.erase(name);
  if (config.at("recipe").at("schedule") == "constant") settings.erase("epochs");
  settings["seed"] = config.at("seed");
  settings["init"] = config.at("init").at("path");
  if (config.contains("loss_file_sha256")) settings["the loss file's hash"] = config.at("loss_file_sha256");
  settings["dataset"] = config.at("dataset").at("labels_sha256");
  settings["dataset's inpainter"] = config.at("dataset").at("weights_sha256");
  return settings;
}

}  // namespace

Trainer::Trainer(const TrainSettings& settings, Stream& stream, const Dataset& dataset)
    : settings_(settings),
      recipe_(settings_.recipe),
      stream_(&stream),
      dataset_(&dataset),
      train_rows_(dataset.rows(Split::train)),
      validation_rows_(dataset.rows(Split::validation)),
      folder_(settings.out, settings.resume),
      info_{recipe_.net, 5, recipe_.width, recipe_.size, recipe_.box_unit} {
  if (recipe_.limit > 0 && size_t(recipe_.limit) < train_rows_.size()) train_rows_.resize(size_t(recipe_.limit));
  const auto images = int64_t(train_rows_.size()), fakes = count_fakes(dataset, train_rows_);
  if (fakes == 0 || fakes == images)
    spdlog::warn("all {} training images are {}: there is nothing to tell apart", images, fakes ? "fake" : "real");
  const int size = dataset.info().size;
  loss_ = make_detection_loss(recipe_.loss, detection_settings(recipe_, size));
  build_programs();
  start_or_continue();
}

void Trainer::build_programs() {
  const int rows = int(train_rows_.size()), size = dataset_->info().size;
  const bool fixed = recipe_.micro_batch > 0;
  TT_CHECK(recipe_.micro_batch <= rows, UsageError, "the micro-batch ", recipe_.micro_batch, " is larger than the ",
           rows, " training images");
  micro_batch_ = fixed ? recipe_.micro_batch
                       : divisor(recipe_.batch, std::min(rows, stream_->is_cuda() ? recipe_.batch : kHostMicroBatch));
  const DType compute = precision_of(recipe_.precision, *stream_);
  const Options options{.compute = compute,
                        .training = true,
                        .chains = settings_.chains ? std::nullopt : std::optional(false),
                        .seed = settings_.common.seed,
                        .dynamic_loss_scale = compute == DType::f16};
  keep_images_resident(options);
  const Tensor resident = resident_ ? resident_->images() : Tensor();
  while (!program_) {
    net_ = detector_graph(info_, micro_batch_, size, float(recipe_.dropout), resident);
    if (recipe_.freeze_backbone) {
      net_.graph.freeze("");
      net_.graph.freeze(detector_net(recipe_.net).head, false);
    }
    try {
      program_ = std::make_unique<Program>(net_.graph, *stream_, options);
      const int batch = std::min(micro_batch_, int(validation_rows_.size()));
      detector_ = std::make_unique<Detector>(info_, *stream_, Detector::Settings{batch, size, compute});
    } catch (const DeviceError& e) {
      if (!stream_->is_cuda()) throw;
      program_.reset();
      if (fixed || micro_batch_ == 1) {
        throw DeviceError(
            cat(e.what(), "; ", fitting_batch(settings_, *stream_, *dataset_), " images a pass would fit"));
      }
      spdlog::info("a pass over {} images does not fit ({})", micro_batch_, e.what());
      micro_batch_ = divisor(recipe_.batch, micro_batch_ - 1);
    }
  }
  const int samples = std::max(micro_batch_, detector_->batch());
  target_ = OwnedTensor(stream_->place(), {samples, 1, 1, 5}, DType::f32);
  losses_ = OwnedTensor(stream_->place(), {samples, 1, 1, loss_->terms()}, DType::f32);
  gradients_ = OwnedTensor(stream_->place(), {samples, 1, 1, 5}, compute);
  pixels_upload_.emplace(*stream_, program_->tensor(net_.pixels).bytes());
  flip_upload_.emplace(*stream_, program_->tensor(net_.flip).bytes());
  target_upload_.emplace(*stream_, size_t(micro_batch_) * 5 * sizeof(float));

  LoaderOptions o;
  o.batch = std::min(recipe_.batch, rows);
  o.flip = recipe_.augment == "flip";
  o.seed = settings_.common.seed;
  o.threads = settings_.workers;
  const int64_t bytes = int64_t(o.batch) * size * size * 3;
  o.prefetch = int(std::clamp<int64_t>((int64_t(256) << 20) / bytes, 1, 4));
  o.once = resident_.has_value();
  o.cache_bytes = o.once ? 0 : size_t(settings_.cache_mb) << 20;
  loader_ = std::make_unique<Loader>(*dataset_, train_rows_, o);

  const int tail = rows % o.batch;
  const int64_t steps = rows / o.batch + (used_of(tail) > 0);
  schedule_ = {recipe_.schedule == "cosine" ? Schedule::Kind::cosine : Schedule::Kind::constant, recipe_.lr,
               recipe_.warmup, steps * recipe_.epochs};
}

void Trainer::keep_images_resident(const Options& options) {
  if (settings_.resident == "off") return;
  const int images = int(train_rows_.size()), size = dataset_->info().size;
  if (settings_.resident == "auto") {
    if (!stream_->is_cuda()) return;  // there the loader's cache is the same
    const size_t bytes = ResidentImages::footprint(*stream_, images, size, micro_batch_);
    const Graph graph = detector_graph(info_, micro_batch_, size, float(recipe_.dropout)).graph;
    const size_t programs = Program::footprint(graph, *stream_, options).total() +
                            Program::footprint(graph, *stream_, {.compute = options.compute}).total();
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

void Trainer::take_initial_weights() {
  if (settings_.init == "none") return;
  const WeightsFile file = WeightsFile::open(settings_.init);
  init_sha256_ = sha256_file(settings_.init);
  LoadReport report;
  try {
    report = load_params(*stream_, program_->params(), file.state_dict(), detector_net(recipe_.net).head);
  } catch (const DataError& e) {
    throw DataError(cat(settings_.init, ": not the weights of a ", recipe_.net, ": ", e.what()));
  }
  program_->params_changed();
  std::string fresh;
  for (const std::string& name : report.fresh_head) fresh += (fresh.empty() ? "" : ", ") + name;
  spdlog::info("{} tensors from {} (sha256 {}){}", report.loaded, settings_.init, init_sha256_,
               fresh.empty() ? "" : "; the last layer is replaced and starts anew: " + fresh);
}

nlohmann::ordered_json Trainer::describe() const {
  const DatasetInfo& data = dataset_->info();
  nlohmann::ordered_json j;
  j["recipe"] = to_json(recipe_);
  if (!recipe_.loss_file.empty()) j["loss_file_sha256"] = sha256_file(recipe_.loss_file);
  j["seed"] = settings_.common.seed;
  j["init"] = {{"path", settings_.init}, {"sha256", init_sha256_}};
  j["dataset"] = {{"path", dataset_->dir()},
                  {"labels_sha256", dataset_->labels_sha256()},
                  {"weights_sha256", data.weights_sha256},
                  {"train", train_rows_.size()},
                  {"train_fakes", count_fakes(*dataset_, train_rows_)},
                  {"validation", validation_rows_.size()}};
  j["micro_batch"] = micro_batch_;
  int64_t parameters = 0, trained = 0;
  for (const Param& p : program_->params().all()) {
    if (p.spec.trainable) parameters += p.spec.shape.numel();
    if (p.trainable) trained += p.spec.shape.numel();
  }
  j["parameters"] = parameters;
  j["trained_parameters"] = trained;
  j["command"] = settings_.common.command;
  j["device"] = stream_->description();
  j["machine"] = machine_description();
  return j;
}

void Trainer::start_or_continue() {
  if (!folder_.continues()) take_initial_weights();
  config_ = folder_.begin(describe(), binding_settings);
  if (folder_.continues()) {
    init_sha256_ = config_.at("init").at("sha256").get<std::string>();
    TT_CHECK(config_.at("micro_batch") == micro_batch_, UsageError, folder_.path("config.json"),
             ": this run began with micro-batches of ", config_.at("micro_batch").dump(), ", not ", micro_batch_,
             ": give --micro-batch ", config_.at("micro_batch").dump());
    if (config_.at("device") != stream_->description()) {
      spdlog::warn("this run began on {}: on another device it goes on, but not bit for bit",
                   config_.at("device").get<std::string>());
    }
    progress_ = load_checkpoint(folder_.checkpoint(), *program_);
    spdlog::info("continuing after step {} (epoch {})", progress_.step, progress_.epoch + 1);
  } else {
    progress_.results = kResultsHeader;
  }
  folder_.rewind(progress_.step, progress_.epoch, progress_.results);
}

}  // namespace telltale
