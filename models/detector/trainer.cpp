#include "models/detector/trainer.h"

#include <cmath>

#include "base/interrupt.h"
#include "base/json_text.h"
#include "base/log.h"
#include "losses/loss.h"
#include "models/training/finite.h"
#include "weights/names.h"

namespace telltale {
namespace {

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

int count_positives(const float* targets, int samples) {
  int n = 0;
  for (int i = 0; i < samples; ++i) n += targets[i * 5] > 0;
  return n;
}

Tensor first_rows(Tensor t, int rows) {
  t.shape.n = rows;
  return t;
}

/// The shortest text with the same bits.
std::string exact(double v) { return std::isfinite(v) ? nlohmann::json(v).dump() : cat(v); }

double ratio(double part, int64_t whole) { return whole ? part / double(whole) : 0; }

}  // namespace

void Trainer::Sums::add(const float* terms, int samples) {
  for (int i = 0; i < samples; ++i, terms += DetectionTerms::count) {
    classification += double(terms[DetectionTerms::classification]);
    box += double(terms[DetectionTerms::box]);
    correct += double(terms[DetectionTerms::correct]);
    iou += double(terms[DetectionTerms::iou]);
  }
}

void Trainer::run() {
  if (progress_.epoch >= recipe_.epochs) {
    spdlog::info("all {} epochs were done before", recipe_.epochs);
    return;
  }
  const bool epoch_done = progress_.batch >= loader_->batches();
  loader_->start(progress_.epoch + epoch_done, epoch_done ? 0 : progress_.batch, recipe_.epochs);
  const int per_epoch = int(train_rows_.size());
  bar_ = std::make_unique<Progress>("train", int64_t(per_epoch) * recipe_.epochs, "images",
                                    int64_t(per_epoch) * progress_.epoch + progress_.samples);
  saved_ = Clock::now();
  while (progress_.epoch < recipe_.epochs) {
    train_epoch();
    finish_epoch();
  }
  clear_progress_line();
  spdlog::info("best of {} epochs: {}, with validation loss {:.5g}; weights in {}", recipe_.epochs,
               progress_.best_epoch, *progress_.best_loss, folder_.best());
}

void Trainer::train_epoch() {
  const LoaderStats before = loader_->stats();
  const Clock::time_point start = Clock::now();
  const int64_t samples_before = progress_.samples;
  settled_ = start;
  while (progress_.batch < loader_->batches()) {
    stop_if_interrupted();
    const Batch* batch = loader_->next();
    TT_CHECK(batch && batch->epoch == progress_.epoch && batch->index == progress_.batch, Error,
             "the loader is out of step with the run");
    // A tail smaller than a micro-batch sits this epoch out; the next shuffle brings other images there.
    const int used = used_of(batch->count);
    if (used > 0) step(*batch, used);
    if (resident_) resident_->keep(*batch, used, batch->count - used);
    bar_->advance(batch->count);
    ++progress_.batch;
    checkpoint_if_due();
  }
  settle();
  const double seconds = seconds_since(start);
  if (progress_.samples == samples_before) return;  // only validation was left
  const double waited = (loader_->stats().wait_seconds - before.wait_seconds) / seconds;
  const double rate = double(progress_.samples - samples_before) / seconds;
  folder_.log_timing(progress_.epoch + 1, seconds, rate, waited);
  clear_progress_line();
  spdlog::info("epoch {}/{}: {:.1f} images/s, {:.0f} % of the time waiting for data", progress_.epoch + 1,
               recipe_.epochs, rate, 100 * waited);
}

void Trainer::step(const Batch& batch, int used) {
  const int positives = count_positives(batch.targets.data(), used);
  const size_t image = size_t(batch.size) * size_t(batch.size) * 3;
  StepState state{.step = progress_.step + 1,
                  .lr = float(learning_rate()),
                  .seed = uint32_t(settings_.common.seed),
                  .samples = float(used),
                  .positives = float(positives)};
  const Tensor target = first_rows(target_, micro_batch_), losses = first_rows(losses_, micro_batch_);
  std::vector<Downloader>& readback = readback_[size_t(state.step % 2)];
  size_t pass = 0;
  for (int first = 0; first < used; first += micro_batch_, ++state.micro_batch, ++pass) {
    program_->set_state(state);
    const Tensor pixels = program_->tensor(net_.pixels);
    if (resident_) {
      resident_->keep(batch, first, micro_batch_);
      pixels_upload_->send(pixels, batch.samples.data() + first);
    } else {
      pixels_upload_->send(pixels, batch.pixels.data() + size_t(first) * image);
    }
    flip_upload_->send(program_->tensor(net_.flip), batch.flip.data() + first);
    target_upload_->send(target, batch.targets.data() + size_t(first) * 5);
    (first > 0 ? later_pass_ : first_pass_).run([&] {
      program_->gradients(net_.logits, *loss_, target, losses, /*accumulate=*/first > 0);
    });
    if (pass == readback.size()) readback.emplace_back(*stream_, losses.bytes());
    readback[pass].request(losses);
  }
  update_.run([&] { program_->update(optimizer_); });
  say_how_steps_run();
  settle();
  enqueued_ = {state.step, progress_.epoch, used, positives, pass};
  ++progress_.step;
  progress_.samples += used;
  progress_.positives += positives;
  if (stream_->is_cuda() || first_not_finite(*program_).empty()) return;  // there a checkpoint asks
  settle();                                                               // which says so when the loss shows it, too
  require_finite(*program_, cat("at step ", progress_.step));
}

void Trainer::settle() {
  if (!enqueued_) return;
  const Enqueued e = *enqueued_;
  enqueued_.reset();
  Sums sums;
  for (size_t pass = 0; pass < e.passes; ++pass) {
    sums.add(static_cast<const float*>(readback_[size_t(e.step % 2)][pass].take()), micro_batch_);
  }
  TT_CHECK(std::isfinite(sums.loss()), Error, "the loss is no longer finite at epoch ", e.epoch + 1, ", step ", e.step,
           " (learning rate ", float(schedule_.at(e.step)),
           "): start anew with a lower --lr; the last checkpoint stays");
  progress_.loss_sums[0] += sums.classification * e.used;
  progress_.loss_sums[1] += sums.box * e.positives;
  progress_.correct += std::llround(sums.correct);
  progress_.iou_sum += sums.iou;
  log_step(e, sums, seconds_since(settled_));
  settled_ = Clock::now();
}

void Trainer::say_how_steps_run() {
  if (!stream_->is_cuda() || said_how_steps_run_) return;
  if (!first_pass_.replays() && first_pass_.why_eager().empty()) return;  // not settled yet
  said_how_steps_run_ = true;
  if (first_pass_.replays()) return;
  clear_progress_line();
  spdlog::warn("steps run kernel by kernel, not as a graph: {}", first_pass_.why_eager());
}

void Trainer::log_step(const Enqueued& step, const Sums& sums, double seconds) {
  folder_.log_step({{"epoch", step.epoch + 1},
                    {"step", step.step},
                    {"lr", schedule_.at(step.step)},
                    {"loss", sums.loss()},
                    {"classification", sums.classification},
                    {"box", sums.box},
                    {"accuracy", ratio(sums.correct, step.used)},
                    {"mean_iou", ratio(sums.iou, step.positives)},
                    {"seconds", seconds},
                    {"images_per_second", step.used / seconds}});
  bar_->advance(0, cat("epoch ", step.epoch + 1, "/", recipe_.epochs, "  loss ", sums.loss()));
}

Trainer::Validation Trainer::validate() {
  Program& net = detector_->program();
  net.params().copy_from(*stream_, program_->params());
  net.params_changed();
  int64_t fakes = 0;
  for (int row : validation_rows_) fakes += dataset_->labels()[size_t(row)].fake;
  // Sums divided by the whole split's sizes are its means.
  const StepState whole{.samples = float(validation_rows_.size()), .positives = float(fakes)};
  const Buffer state(stream_->place(), sizeof(StepState));
  upload(*stream_, state.view({1, 1, 1, int(sizeof(StepState))}, DType::u8), &whole);
  Sums sums;
  const auto add_losses = [&](const Batch& batch) {
    stop_if_interrupted();
    const Tensor target = first_rows(target_, batch.count), losses = first_rows(losses_, batch.count);
    upload(*stream_, target, batch.targets.data());
    loss_->eval(*stream_, first_rows(net.tensor(detector_->logits()), batch.count), target, losses,
                first_rows(gradients_, batch.count), static_cast<const StepState*>(state.data()));
    sums.add(download_f32(*stream_, losses).data(), batch.count);
  };
  Validation v;
  v.metrics = evaluate(predict(*detector_, *dataset_, validation_rows_, settings_.workers, add_losses));
  v.classification = sums.classification;
  v.box = sums.box;
  return v;
}

void Trainer::finish_epoch() {
  const Validation v = validate();
  const double classification = ratio(progress_.loss_sums[0], progress_.samples),
               box = ratio(progress_.loss_sums[1], progress_.positives),
               accuracy = ratio(double(progress_.correct), progress_.samples),
               mean_iou = ratio(progress_.iou_sum, progress_.positives);
  const Confusion& c = v.metrics.confusion;
  ++progress_.epoch;
  std::string row = cat(progress_.epoch);
  for (double value :
       {schedule_.at(progress_.step), classification + box, classification, box, accuracy, mean_iou, v.loss(),
        v.classification, v.box, c.precision(), c.recall(), c.f1(), v.metrics.auc, v.metrics.localisation.mean_iou}) {
    row += "," + exact(value);
  }
  progress_.results += row + "\n";
  clear_progress_line();
  spdlog::info(
      "epoch {}/{}: train loss {:.5g}, accuracy {:.3f}, mean IoU {:.3f}; validation loss {:.5g} (classification "
      "{:.5g}, "
      "box {:.5g}), F1 {:.3f}, AUC {:.3f}, mean IoU {:.3f}",
      progress_.epoch, recipe_.epochs, classification + box, accuracy, mean_iou, v.loss(), v.classification, v.box,
      c.f1(), v.metrics.auc, v.metrics.localisation.mean_iou);
  if (!progress_.best_loss || v.loss() < *progress_.best_loss) save_best(v);
  progress_.batch = 0;
  progress_.samples = progress_.positives = 0;
  progress_.loss_sums = {};
  progress_.correct = 0;
  progress_.iou_sum = 0;
  checkpoint();
}

void Trainer::save_best(const Validation& v) {
  progress_.best_loss = v.loss();
  progress_.best_epoch = progress_.epoch;
  Metadata metadata = detector_metadata(info_);
  metadata["format"] = "pt";  // what safetensors' loaders for PyTorch look for
  metadata["kind"] = "detector";
  metadata["epoch"] = cat(progress_.epoch);
  metadata["validation_loss"] = exact(v.loss());
  metadata["recipe"] = json_text(to_json(recipe_));
  metadata["init_sha256"] = init_sha256_;
  metadata["dataset_labels_sha256"] = dataset_->labels_sha256();
  write_safetensors(folder_.best(), params_dict(*stream_, program_->params()), metadata);
}

void Trainer::checkpoint() {
  save_checkpoint(folder_.checkpoint(), *program_, progress_, detector_metadata(info_));
  folder_.write_results(progress_.results);
  saved_ = Clock::now();
}

void Trainer::checkpoint_if_due() {
  if (seconds_since(saved_) < settings_.checkpoint_minutes * 60) return;
  settle();
  checkpoint();
}

void Trainer::stop_if_interrupted() {
  if (!interrupted()) return;
  settle();
  checkpoint();
  const bool resumes = settings_.resume;
  throw Error(cat("stopped in epoch ", progress_.epoch + 1, " after step ", progress_.step,
                  "; all is saved. Continue with: ", settings_.common.command, resumes ? "" : " --resume"));
}

}  // namespace telltale
