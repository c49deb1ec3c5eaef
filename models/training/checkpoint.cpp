#include "models/training/checkpoint.h"

#include "models/training/finite.h"
#include "weights/names.h"

namespace telltale {

// Found by nlohmann's library through its argument.
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(LossScale, scale, good_steps, skipped)

namespace {

constexpr const char* kModel = "model.";
constexpr const char* kFirstMoment = "adam.m.";
constexpr const char* kSecondMoment = "adam.v.";
constexpr const char* kLossScale = "loss_scale";

void append(StateDict& to, StateDict part) {
  to.insert(to.end(), std::make_move_iterator(part.begin()), std::make_move_iterator(part.end()));
}

void append(StateDict& to, const CheckpointPart& p) {
  Stream& s = p.program->stream();
  const Params& params = p.program->params();
  if (!p.trains) return append(to, params_dict(s, params, ParamPart::value, p.prefix));
  append(to, params_dict(s, params, ParamPart::value, p.prefix + kModel));
  append(to, params_dict(s, params, ParamPart::first_moment, p.prefix + kFirstMoment));
  append(to, params_dict(s, params, ParamPart::second_moment, p.prefix + kSecondMoment));
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

void restore(const StateDict& dict, const CheckpointPart& part) {
  Program& program = *part.program;
  Stream& s = program.stream();
  load_params(s, program.params(), under_prefix(dict, part.prefix + (part.trains ? kModel : "")));
  program.params_changed();
  if (!part.trains) return;
  const StateDict first = under_prefix(dict, part.prefix + kFirstMoment),
                  second = under_prefix(dict, part.prefix + kSecondMoment);
  for (const Param& p : program.params().all()) {
    if (!p.trainable) continue;
    load_moment(s, first, p, p.m);
    load_moment(s, second, p, p.v);
  }
}

bool scales(const CheckpointPart& p) { return p.trains && p.program->options().dynamic_loss_scale; }

}  // namespace

// nlohmann prints doubles in the shortest form that reads back to the same bits.
void save_checkpoint(const std::string& path, const std::vector<CheckpointPart>& parts, nlohmann::json progress,
                     Metadata metadata) {
  StateDict dict;
  for (const CheckpointPart& p : parts) {
    require_finite(*p.program, "when it was to be saved");
    append(dict, p);
    if (scales(p)) progress[p.prefix + kLossScale] = p.program->loss_scale();
  }
  metadata["progress"] = progress.dump();
  write_safetensors(path, dict, metadata);
}

void load_checkpoint(const std::string& path, const std::vector<CheckpointPart>& parts,
                     const std::function<void(const nlohmann::json&)>& take) {
  try {
    const Safetensors file = Safetensors::open(path);
    const auto text = file.metadata().find("progress");
    TT_CHECK(text != file.metadata().end(), DataError, "not a checkpoint of train: no \"progress\" in it");
    const nlohmann::json progress = nlohmann::json::parse(text->second);
    const StateDict dict = file.state_dict();
    for (const CheckpointPart& p : parts) {
      restore(dict, p);
      if (scales(p)) p.program->set_loss_scale(progress.at(p.prefix + kLossScale).get<LossScale>());
    }
    take(progress);
  } catch (const nlohmann::json::exception& e) {
    throw DataError(cat(path, ": its \"progress\" is broken, or of another version: ", e.what()));
  } catch (const DataError& e) {
    throw DataError(cat(path, ": ", e.what()));
  }
}

}  // namespace telltale
