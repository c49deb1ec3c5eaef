#include "models/training/checkpoint.h"

#include <nlohmann/json.hpp>

#include "models/training/finite.h"
#include "weights/names.h"

namespace telltale {
namespace {

constexpr const char* kModel = "model.";
constexpr const char* kFirstMoment = "adam.m.";
constexpr const char* kSecondMoment = "adam.v.";

// nlohmann prints doubles in the shortest form that reads back to the same bits.
nlohmann::json to_json(const RunProgress& p) {
  return {{"epoch", p.epoch},
          {"batch", p.batch},
          {"step", p.step},
          {"samples", p.samples},
          {"positives", p.positives},
          {"loss_sums", p.loss_sums},
          {"correct", p.correct},
          {"iou_sum", p.iou_sum},
          {"best_loss", p.best_loss ? nlohmann::json(*p.best_loss) : nlohmann::json()},
          {"best_epoch", p.best_epoch},
          {"results", p.results}};
}

RunProgress from_json(const nlohmann::json& j) {
  RunProgress p;
  j.at("epoch").get_to(p.epoch);
  j.at("batch").get_to(p.batch);
  j.at("step").get_to(p.step);
  j.at("samples").get_to(p.samples);
  j.at("positives").get_to(p.positives);
  j.at("loss_sums").get_to(p.loss_sums);
  j.at("correct").get_to(p.correct);
  j.at("iou_sum").get_to(p.iou_sum);
  if (!j.at("best_loss").is_null()) p.best_loss = j.at("best_loss").get<double>();
  j.at("best_epoch").get_to(p.best_epoch);
  j.at("results").get_to(p.results);
  return p;
}

nlohmann::json to_json(const LossScale& s) {
  return {{"scale", s.scale}, {"good_steps", s.good_steps}, {"skipped", s.skipped}};
}

LossScale loss_scale_of(const nlohmann::json& j) {
  return {.scale = j.at("scale"), .good_steps = j.at("good_steps"), .skipped = j.at("skipped")};
}

void load_moment(Stream& stream, const StateDict& dict, const Param& p, Tensor to) {
  std::vector<const StateTensor*> parts;
  for (const std::string& name : p.spec.names) {
    const StateTensor& t = require(dict, name);
    TT_CHECK(t.info.shape == state_dict_shape(p.spec), DataError, "Adam's moment of ", name, " has shape ",
             to_string(t.info.shape), ", expected ", to_string(state_dict_shape(p.spec)));
    parts.push_back(&t);
  }
  assign(stream, p.spec, to, parts);
}

}  // namespace

void append(StateDict& to, StateDict part) {
  to.insert(to.end(), std::make_move_iterator(part.begin()), std::make_move_iterator(part.end()));
}

StateDict training_state(const Program& program, const std::string& prefix) {
  Stream& s = program.stream();
  require_finite(program, "when it was to be saved");
  StateDict dict = params_dict(s, program.params(), ParamPart::value, prefix + kModel);
  append(dict, params_dict(s, program.params(), ParamPart::first_moment, prefix + kFirstMoment));
  append(dict, params_dict(s, program.params(), ParamPart::second_moment, prefix + kSecondMoment));
  return dict;
}

void restore_training_state(const StateDict& dict, Program& program, const std::string& prefix) {
  Stream& s = program.stream();
  load_params(s, program.params(), under_prefix(dict, prefix + kModel));
  const StateDict first = under_prefix(dict, prefix + kFirstMoment),
                  second = under_prefix(dict, prefix + kSecondMoment);
  for (const Param& p : program.params().all()) {
    if (!p.trainable) continue;
    load_moment(s, first, p, p.m);
    load_moment(s, second, p, p.v);
  }
  program.params_changed();
}

void save_checkpoint(const std::string& path, const Program& program, const RunProgress& progress, Metadata metadata) {
  metadata["kind"] = "checkpoint";
  nlohmann::json json = to_json(progress);
  if (program.options().dynamic_loss_scale) json["loss_scale"] = to_json(program.loss_scale());
  metadata["progress"] = json.dump();
  write_safetensors(path, training_state(program), metadata);
}

RunProgress load_checkpoint(const std::string& path, Program& program) {
  const Safetensors file = Safetensors::open(path);
  const auto text = file.metadata().find("progress");
  TT_CHECK(text != file.metadata().end(), DataError, path, ": not a checkpoint of train: no \"progress\" in it");
  try {
    const nlohmann::json json = nlohmann::json::parse(text->second);
    const RunProgress progress = from_json(json);
    restore_training_state(file.state_dict(), program);
    if (program.options().dynamic_loss_scale) program.set_loss_scale(loss_scale_of(json.at("loss_scale")));
    return progress;
  } catch (const nlohmann::json::exception& e) {
    throw DataError(cat(path, ": its \"progress\" is broken: ", e.what()));
  } catch (const DataError& e) {
    throw DataError(cat(path, ": ", e.what()));
  }
}

}  // namespace telltale
