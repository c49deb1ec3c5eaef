#include "models/training/trainer.h"

#include <cmath>
#include <cstring>

#include "base/interrupt.h"
#include "base/json_text.h"
#include "base/log.h"
#include "models/shared_batches.h"
#include "models/training/finite.h"

namespace telltale {
namespace {

Tensor first_samples(Tensor t, int samples, int of) {
  t.shape.n = t.shape.n / of * samples;
  return t;
}

/// The shortest text with the same bits.
std::string exact(double v) { return std::isfinite(v) ? nlohmann::json(v).dump() : cat(v); }

double ratio(double part, int64_t whole) { return whole ? part / double(whole) : 0; }

bool is_loss(const Figure& f) { return f.kind == Figure::Kind::loss; }

}  // namespace

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
  spdlog::info("best of {} epochs: {}; weights in {}", recipe_.epochs, progress_.best_epoch, folder_.best());
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
  const int together = ranks().size(), passes = used / micro_batch_;
  int positives = 0;
  for (int i = 0; i < used; ++i) positives += runs(i / micro_batch_) && batch.fake[size_t(i)] == 1;
  positives = ranks().total(positives);
  StepState state{.step = progress_.step + 1,
                  .lr = float(schedule_.at(progress_.step + 1)),
                  .seed = uint32_t(settings_.common.seed),
                  .samples = float(used),
                  .positives = float(positives)};
  std::vector<std::vector<Downloader>>& readback = readback_[size_t(state.step % 2)];
  if (ranks().rank() >= passes) program_->set_state(state);  // the optimiser's step all the same
  size_t round = 0;
  for (int first = 0; first < passes; first += together, ++round) {
    rounds_->begin_round(std::min(together, passes - first), first + together >= passes);
    if (const int pass = first + ranks().rank(); pass < passes) {
      state.micro_batch = uint32_t(pass);
      program_->set_state(state);
      send(batch, pass * micro_batch_);
      const bool accumulate = pass > 0 && rounds_->add_in_backward();
      Capture& recorded = passes_.try_emplace({rounds_->kind(), accumulate}, *stream_).first->second;
      rounds_->pass([&] { program_->gradients(places_.heads, accumulate); }, &recorded);
      if (round == readback.size()) {
        readback.emplace_back();
        for (const OwnedTensor& t : places_.terms) readback.back().emplace_back(*stream_, t.tensor.bytes());
      }
      for (size_t k = 0; k < heads_.size(); ++k) readback[round][k].request(places_.terms[k]);
    }
    rounds_->end_round();
  }
  update_.run([&] { program_->update(optimizer_); });
  rounds_->end_step(state.step);
  say_how_steps_run();
  settle();
  enqueued_ = {state.step, progress_.epoch, used, positives, size_t(passes)};
  ++progress_.step;
  progress_.samples += used;
  progress_.positives += positives;
  if (progress_.step % settings_.rank_check == 0)
    require_same_parameters(ranks(), *program_, cat("after step ", progress_.step));
  if (stream_->is_cuda() || first_not_finite(*program_).empty()) return;  // there a checkpoint asks
  settle();                                                               // which says so when the loss shows it, too
  require_finite(*program_, cat("at step ", progress_.step));
}

void Trainer::send(const Batch& batch, int first) {
  const Tensor pixels = program_->tensor(net_.pixels);
  if (resident_) {
    resident_->keep(batch, first, micro_batch_);
    pixels_upload_->send(pixels, batch.samples.data() + first);
  } else {
    const size_t image = size_t(batch.size) * size_t(batch.size) * 3;
    pixels_upload_->send(pixels, batch.pixels.data() + size_t(first) * image);
  }
  flip_upload_->send(program_->tensor(net_.flip), batch.flip.data() + first);
  for (size_t k = 0; k < heads_.size(); ++k) {
    const size_t numbers = size_t(heads_[k].target.numel());
    target_uploads_[k].send(places_.targets[k], batch.targets[k].data() + size_t(first) * numbers);
  }
}

void Trainer::add(const std::vector<Head>& heads, size_t head, const float* terms, int64_t rows,
                  std::vector<double>& sums) const {
  size_t first = 0;
  for (size_t k = 0; k < head; ++k) first += heads[k].figures.size();
  const auto& figures = heads[head].figures;
  const int columns = heads[head].loss->terms();
  for (int64_t i = 0; i < rows; ++i, terms += columns)
    for (size_t f = 0; f < figures.size(); ++f) sums[first + f] += double(terms[figures[f].term]);
}

std::vector<std::vector<float>> Trainer::terms_of(const Enqueued& e) {
  const auto together = size_t(ranks().size());
  std::vector<std::vector<float>> terms(e.passes);
  std::string mine;
  for (size_t pass = size_t(ranks().rank()), round = 0; pass < e.passes; pass += together, ++round)
    for (size_t k = 0; k < heads_.size(); ++k) {
      const auto* numbers = static_cast<const float*>(readback_[size_t(e.step % 2)][round][k].take());
      terms[pass].insert(terms[pass].end(), numbers, numbers + places_.terms[k].tensor.shape.numel());
    }
  if (ranks().alone()) return terms;
  for (const std::vector<float>& t : terms)
    mine.append(reinterpret_cast<const char*>(t.data()), t.size() * sizeof(float));
  const std::vector<std::string> all = ranks().gather(mine);
  size_t numbers = 0;
  for (const OwnedTensor& t : places_.terms) numbers += size_t(t.tensor.shape.numel());
  for (size_t pass = 0; pass < e.passes; ++pass) {
    terms[pass].resize(numbers);
    std::memcpy(terms[pass].data(), all[pass % together].data() + pass / together * numbers * sizeof(float),
                numbers * sizeof(float));
  }
  return terms;
}

void Trainer::settle() {
  if (!enqueued_) return;
  const Enqueued e = *enqueued_;
  enqueued_.reset();
  rounds_->await(e.step);
  std::vector<double> sums(figures_.size());
  for (const std::vector<float>& terms : terms_of(e)) {
    const float* of_head = terms.data();
    for (size_t k = 0; k < heads_.size(); ++k) {
      const Shape shape = places_.terms[k].tensor.shape;
      add(heads_, k, of_head, shape.n, sums);
      of_head += shape.numel();
    }
  }
  TT_CHECK(std::isfinite(loss_of(sums)), Error, "the loss is no longer finite at epoch ", e.epoch + 1, ", step ",
           e.step, " (learning rate ", float(schedule_.at(e.step)),
           "): start anew with a lower --lr; the last checkpoint stays");
  for (size_t f = 0; f < sums.size(); ++f)
    progress_.sums[f] += is_loss(figures_[f]) ? sums[f] * (figures_[f].of_positives ? e.positives : e.used) : sums[f];
  log_step(e, sums, seconds_since(settled_));
  settled_ = Clock::now();
}

void Trainer::say_how_steps_run() {
  if (!stream_->is_cuda() || said_how_steps_run_) return;
  for (const auto& [kind, recorded] : passes_) {
    if (!recorded.replays() && recorded.why_eager().empty()) continue;  // not settled yet
    said_how_steps_run_ = true;
    if (recorded.replays()) return;
    clear_progress_line();
    spdlog::warn("steps run kernel by kernel, not as a graph: {}", recorded.why_eager());
    return;
  }
}

double Trainer::loss_of(const std::vector<double>& figures) const {
  double sum = 0;
  for (size_t f = 0; f < figures_.size(); ++f)
    if (is_loss(figures_[f])) sum += figures[f];
  return sum;
}

std::vector<double> Trainer::means(const std::vector<double>& sums, int64_t samples, int64_t positives,
                                   bool divided) const {
  std::vector<double> m(sums);
  for (size_t f = 0; f < m.size(); ++f)
    if (!divided || !is_loss(figures_[f])) m[f] = ratio(m[f], figures_[f].of_positives ? positives : samples);
  return m;
}

void Trainer::log_step(const Enqueued& step, const std::vector<double>& sums, double seconds) {
  const double loss = loss_of(sums);
  nlohmann::ordered_json line{
      {"epoch", step.epoch + 1}, {"step", step.step}, {"lr", schedule_.at(step.step)}, {"loss", loss}};
  const std::vector<double> figures = means(sums, step.used, step.positives, /*divided=*/true);
  for (size_t f = 0; f < figures.size(); ++f) line[figures_[f].name] = figures[f];
  line["seconds"] = seconds;
  line["images_per_second"] = step.used / seconds;
  folder_.log_step(line);
  bar_->advance(0, cat("epoch ", step.epoch + 1, "/", recipe_.epochs, "  loss ", loss));
}

Trainer::Validation Trainer::validate() {
  Program& net = validation_->program();
  net.params().copy_from(*stream_, program_->params());
  net.params_changed();
  int64_t fakes = 0;
  for (int row : validation_rows_) fakes += dataset_.labels()[size_t(row)].fake;
  // Sums divided by the whole split's sizes are its means.
  const StepState whole{.samples = float(validation_rows_.size()), .positives = float(fakes)};
  const Buffer state(stream_->place(), sizeof(StepState));
  upload(*stream_, state.view({1, 1, 1, int(sizeof(StepState))}, DType::u8), &whole);
  LoaderOptions options = validation_batches(task_, settings_.workers, stored_size());
  options.batch = validation_->batch();
  struct Said {
    Batch batch;                                     ///< without pixels
    std::vector<std::vector<float>> terms, outputs;  ///< of each head
  };
  const std::unique_ptr<Judge> judge = task_.judge(dataset_);
  std::vector<double> sums(figures_.size());
  const auto look = [&](const Batch& batch) {
    TT_CHECK(!interrupted(), Error, "stopped while validating");
    Said said;
    const size_t bytes = size_t(batch.count) * size_t(batch.size) * size_t(batch.size) * 3;
    validation_->run(std::span(batch.pixels).first(bytes), batch.count);
    for (size_t k = 0; k < validation_heads_.size(); ++k) {
      const auto first = [&](Tensor t) { return first_samples(t, batch.count, options.batch); };
      const Tensor target = first(validation_places_.targets[k]), terms = first(validation_places_.terms[k]);
      upload(*stream_, target, batch.targets[k].data());
      validation_heads_[k].loss->eval(*stream_, first(net.tensor(validation_->head(k))), target, terms,
                                      first(gradients_[k]), static_cast<const StepState*>(state.data()));
      said.terms.push_back(download_f32(*stream_, terms));
      said.outputs.push_back(validation_->said(k));
    }
    said.batch.count = batch.count;
    said.batch.size = batch.size;
    said.batch.targets = batch.targets;
    said.batch.rows = batch.rows;
    return said;
  };
  const auto take = [&](const Said& said) {
    for (size_t k = 0; k < validation_heads_.size(); ++k) {
      const int columns = validation_heads_[k].loss->terms();
      add(validation_heads_, k, said.terms[k].data(), int64_t(said.terms[k].size()) / columns, sums);
    }
    judge->see(said.batch, said.outputs);
  };
  const auto all_packed = [](const std::vector<std::vector<float>>& lists) {
    Packed all = Packed::array();
    for (const std::vector<float>& list : lists) all.push_back(packed(list));
    return all;
  };
  const auto lists_in = [](const Packed& all) {
    std::vector<std::vector<float>> lists;
    for (const Packed& list : all) lists.push_back(values_in<float>(list));
    return lists;
  };
  try {
    share_batches<Said>(
        ranks(), dataset_, validation_rows_, options, /*overlap=*/false,
        [&](const Batch& batch) { return [&] { return look(batch); }; }, take,
        [&](const Said& said) {
          return Packed{{"count", said.batch.count},       {"size", said.batch.size},
                        {"rows", packed(said.batch.rows)}, {"targets", all_packed(said.batch.targets)},
                        {"terms", all_packed(said.terms)}, {"outputs", all_packed(said.outputs)}};
        },
        [&](const Packed& p) {
          Said said{{}, lists_in(p.at("terms")), lists_in(p.at("outputs"))};
          said.batch.count = p.at("count");
          said.batch.size = p.at("size");
          said.batch.rows = values_in<int>(p.at("rows"));
          said.batch.targets = lists_in(p.at("targets"));
          return said;
        });
  } catch (const Error&) {
    stop_if_interrupted();
    throw;
  }
  if (!ranks().leads()) return {};
  Validation v{.losses = {}, .loss = loss_of(sums), .findings = judge->findings()};
  for (size_t f = 0; f < sums.size(); ++f)
    if (is_loss(figures_[f])) v.losses.push_back(sums[f]);
  return v;
}

void Trainer::judge_epoch(const Validation& v) {
  const std::vector<double> trained = means(progress_.sums, progress_.samples, progress_.positives, /*divided=*/false);
  ++progress_.epoch;
  std::string row = cat(progress_.epoch, ",", exact(schedule_.at(progress_.step)), ",", exact(loss_of(trained)));
  for (double value : trained) row += "," + exact(value);
  row += "," + exact(v.loss);
  for (const auto& values : {v.losses, v.findings.columns})
    for (double value : values) row += "," + exact(value);
  progress_.results += row + "\n";
  tell(trained, v);
  if (progress_.best_epoch == 0 || task_.cost(v.loss, v.findings) < progress_.best) save_best(v);
}

void Trainer::finish_epoch() {
  const Validation v = validate();
  ranks().lead([&] { judge_epoch(v); });
  if (!ranks().leads()) ++progress_.epoch;
  progress_.batch = 0;
  progress_.samples = progress_.positives = 0;
  progress_.sums.assign(figures_.size(), 0);
  checkpoint();
}

void Trainer::tell(const std::vector<double>& trained, const Validation& v) {
  std::string text = fmt::format("train loss {:.5g}", loss_of(trained)), parts;
  for (size_t f = 0; f < figures_.size(); ++f)
    if (!is_loss(figures_[f])) text += fmt::format(", {} {:.3f}", figures_[f].name, trained[f]);
  size_t next = 0;
  for (const Figure& f : figures_)
    if (is_loss(f)) parts += fmt::format("{}{} {:.5g}", parts.empty() ? "" : ", ", f.name, v.losses[next++]);
  clear_progress_line();
  spdlog::info("epoch {}/{}: {}; validation loss {:.5g} ({}), {}", progress_.epoch, recipe_.epochs, text, v.loss, parts,
               v.findings.text);
}

void Trainer::save_best(const Validation& v) {
  progress_.best = task_.cost(v.loss, v.findings);
  progress_.best_epoch = progress_.epoch;
  Metadata metadata = task_.metadata();
  metadata["format"] = "pt";  // what safetensors' loaders for PyTorch look for
  metadata["epoch"] = cat(progress_.epoch);
  metadata["validation_loss"] = exact(v.loss);
  metadata["recipe"] = json_text(task_.recipe_json());
  metadata["init_sha256"] = init_sha256_;
  metadata["dataset_labels_sha256"] = dataset_.labels_sha256();
  write_safetensors(folder_.best(), params_dict(*stream_, program_->params()), metadata);
}

}  // namespace telltale
