#include "models/parity.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "engine/program.h"
#include "kernels/device/host_values.h"
#include "losses/detector_row.h"
#include "losses/loss.h"
#include "models/families.h"
#include "nets/nets.h"
#include "weights/names.h"

namespace telltale {
namespace {

/// A case's file and the words its errors need.
class Case {
 public:
  Case(const Safetensors& file, const ParityOptions& options) : file_(file), options_(options) {}

  std::string text(const std::string& key) const {
    const auto it = file_.metadata().find(key);
    TT_CHECK(it != file_.metadata().end(), DataError, file_.path(), ": a parity case needs \"", key,
             "\" in __metadata__");
    return it->second;
  }
  bool has(const std::string& key) const { return file_.metadata().count(key) > 0; }
  double number(const std::string& key) const {
    const std::string value = text(key);
    size_t used = 0;
    double number = 0;
    try {
      number = std::stod(value, &used);
    } catch (const std::exception&) {
      used = 0;
    }
    TT_CHECK(used > 0 && used == value.size(), DataError, file_.path(), ": \"", key,
             "\" in __metadata__ must be a number, got \"", value, "\"");
    return number;
  }
  double number(const std::string& key, double otherwise) const { return has(key) ? number(key) : otherwise; }
  /// A tensor's shape, checked to have `rank` axes.
  std::vector<int64_t> shape(const std::string& name, size_t rank) const {
    const TensorInfo& info = file_.info(name);
    TT_CHECK(info.shape.size() == rank, DataError, file_.path(), ": ", name, " must have ", rank, " axes, got ",
             to_string(info.shape));
    for (int64_t d : info.shape) {
      TT_CHECK(d > 0 && d < (int64_t(1) << 30), DataError, file_.path(), ": ", name, " has shape ",
               to_string(info.shape));
    }
    return info.shape;
  }
  std::vector<double> values(const std::string& name) const { return file_.read_f64(name); }
  /// The net's tensors: the case's own, or those it is to be run with instead.
  StateDict params() const { return options_.weights ? *options_.weights : under_prefix(file_.state_dict(), "param."); }
  const Safetensors& file() const { return file_; }

  void compare(ParityReport& report, const std::string& name, const std::vector<double>& got,
               const std::vector<double>& expected, double limit) const {
    TT_CHECK(got.size() == expected.size(), DataError, file_.path(), ": ", name, " holds ", expected.size(),
             " values, the net makes ", got.size());
    ParityRow row{name, 0, 0, options_.tolerance > 0 ? options_.tolerance : limit};
    double difference = 0, norm = 0;
    for (size_t i = 0; i < got.size(); ++i) {
      const double d = got[i] - expected[i];
      row.largest = std::isnan(d) ? d : std::max(row.largest, std::abs(d));
      difference += d * d;
      norm += expected[i] * expected[i];
    }
    row.relative = norm > 0 ? std::sqrt(difference / norm) : std::sqrt(difference);
    report.rows.push_back(row);
    const auto shape = file_.contains(name) ? file_.info(name).shape : std::vector<int64_t>{int64_t(got.size())};
    report.computed.push_back(state_tensor(name, shape, got));
  }

 private:
  const Safetensors& file_;
  const ParityOptions& options_;
};

std::vector<double> nhwc_of(const std::vector<double>& nchw, const Shape& s) {
  std::vector<double> out(nchw.size());
  for (int64_t n = 0; n < s.n; ++n) {
    for (int64_t c = 0; c < s.c; ++c) {
      for (int64_t p = 0; p < int64_t(s.h) * s.w; ++p) {
        out[size_t((n * s.h * s.w + p) * s.c + c)] = nchw[size_t((n * s.c + c) * s.h * s.w + p)];
      }
    }
  }
  return out;
}

std::vector<double> nchw_of(const std::vector<double>& nhwc, const Shape& s) {
  std::vector<double> out(nhwc.size());
  for (int64_t n = 0; n < s.n; ++n) {
    for (int64_t c = 0; c < s.c; ++c) {
      for (int64_t p = 0; p < int64_t(s.h) * s.w; ++p) {
        out[size_t((n * s.c + c) * s.h * s.w + p)] = nhwc[size_t((n * s.h * s.w + p) * s.c + c)];
      }
    }
  }
  return out;
}

Shape image_shape(const std::vector<int64_t>& nchw) { return {int(nchw[0]), int(nchw[2]), int(nchw[3]), int(nchw[1])}; }

std::string mode_of(const Case& c) {
  const std::string mode = c.text("mode");
  TT_CHECK(mode == "eval" || mode == "train", DataError, c.file().path(), ": \"mode\" must be eval or train, got \"",
           mode, "\"");
  return mode;
}

/// Every gradient that the case expects.
void compare_gradients(ParityReport& report, Stream& s, const Case& c, const Params& params) {
  for (const StateTensor& g : params_dict(s, params, ParamPart::grad)) {
    const std::string name = "expect.grad." + g.info.name;
    if (c.file().contains(name)) c.compare(report, name, g.read(), c.values(name), kTrainingTolerance);
  }
}

ParityReport replay_net(Stream& s, const Case& c, const ParityOptions& options) {
  const DetectorNet& net = detector_net(c.text("net"));
  const std::string mode = mode_of(c);
  const bool training = mode == "train";
  TT_CHECK(c.number("dropout", 0) == 0, DataError, c.file().path(),
           ": dropout must be 0: no two programs drop the same units");

  const Shape in = image_shape(c.shape("input", 4));
  Graph graph;
  const Value x = graph.input(in);
  const int outputs = training ? DetectorRow::count : int(c.shape("expect.output", 2)[1]);
  const Value y = net.build(graph, x, {.outputs = outputs, .width = c.number("width", 1), .dropout = 0});
  Program program(graph, s, {.compute = options.compute, .training = training});
  load_params(s, program.params(), c.params());
  program.params_changed();
  set_values(s, program.tensor(x), nhwc_of(c.values("input"), in));

  ParityReport report{cat("net ", net.name, ", ", mode), {}, {}};
  if (!training) {
    program.forward();
    s.sync();
    c.compare(report, "expect.output", values_of(s, program.tensor(y)), c.values("expect.output"), kForwardTolerance);
    return report;
  }

  const int steps = int(c.number("steps"));
  report.what += cat(", ", steps, " steps");
  DetectionSettings settings{.alpha = c.number("alpha", 1), .beta = c.number("beta", 1)};
  settings.box_unit = box_unit_of(c.text("box_unit"));
  settings.width = in.w;
  settings.height = in.h;
  for (const auto& [key, initial] : default_settings(c.text("loss")))
    settings.box_settings[key] = c.number(key, initial);
  const std::unique_ptr<Loss> loss = make_detection_loss(c.text("loss"), settings);
  const DType type = accumulator_of(options.compute);
  const OwnedTensor target(s.place(), {in.n, 1, 1, DetectorRow::count}, type),
      terms(s.place(), {in.n, 1, 1, loss->terms()}, type);
  const std::vector<double> labels = c.values("target");
  TT_CHECK(int64_t(labels.size()) == int64_t(in.n) * DetectorRow::count, DataError, c.file().path(),
           ": target must be [", in.n, ",5]");
  set_values(s, target, labels);
  StepState state;
  state.lr = float(c.number("lr"));
  state.samples = float(in.n);
  state.positives = 0;
  for (int n = 0; n < in.n; ++n) state.positives += labels[size_t(n) * DetectorRow::count] > 0 ? 1.0f : 0.0f;

  std::vector<double> losses;
  for (int step = 1; step <= steps; ++step) {
    state.step = step;
    program.set_state(state);
    program.gradients(y, *loss, target, terms, false);
    double total = 0;
    const std::vector<double> shares = values_of(s, terms);
    for (size_t i = 0; i < shares.size(); i += size_t(loss->terms())) total += shares[i];
    losses.push_back(total);
    if (step == 1) {
      if (c.file().contains("expect.output")) {
        c.compare(report, "expect.output", values_of(s, program.tensor(y)), c.values("expect.output"),
                  kForwardTolerance);
      }
      compare_gradients(report, s, c, program.params());
    }
    program.update(Adam());
  }
  // Later losses have been through optimiser steps, which divide by gradients' roots: they share the parameters' limit.
  const std::vector<double> expected = c.values("expect.loss");
  TT_CHECK(expected.size() == losses.size(), DataError, c.file().path(), ": expect.loss holds ", expected.size(),
           " values for ", steps, " steps");
  c.compare(report, "expect.loss[0]", {losses[0]}, {expected[0]}, kForwardTolerance);
  c.compare(report, "expect.loss", losses, expected, kTrainingTolerance);
  for (const StateTensor& p : params_dict(s, program.params())) {
    const std::string name = "expect.param." + p.info.name;
    if (c.file().contains(name)) c.compare(report, name, p.read(), c.values(name), kTrainingTolerance);
  }
  return report;
}

ParityReport replay_inpaint(Stream& s, const Case& c, const ParityOptions& options) {
  const std::string family = c.text("family");
  const StateDict stored = c.params();
  const NetIdentity found = identify_generator(stored, c.file().path());
  // Both forms of one family go by its name.
  TT_CHECK(found.family == family || found.family.starts_with(family + "_"), DataError, c.file().path(),
           ": family is \"", family, "\", its parameters are those of ", found.family);
  const GeneratorNet& net = generator_net(found.family);
  const Shape size = image_shape(c.shape("image", 4));
  const Shape mask_size = image_shape(c.shape("mask", 4));
  TT_CHECK((mask_size == Shape{size.n, size.h, size.w, 1}), DataError, c.file().path(), ": mask must be [", size.n,
           ",1,", size.h, ",", size.w, "]");
  const std::string how = found.spectral_norm ? c.text("spectral_norm") : "folded";
  const int width = int(found.width);
  Graph graph;
  const Value image = graph.input(size), mask = graph.input(mask_size);
  const Inpainted out = net.build(graph, image, mask, width);
  const bool training = c.has("mode") && mode_of(c) == "train";
  Program program(graph, s, {.compute = options.compute, .training = training});
  load_params(s, program.params(), net_parameters(stored, spectral_norm_of(how)));
  program.params_changed();
  const std::vector<double> picture = nhwc_of(c.values("image"), size);
  std::vector<double> pixels = picture;
  for (double& v : pixels) v = net.black + (1 - net.black) * v;
  set_values(s, program.tensor(image), pixels);
  set_values(s, program.tensor(mask), c.values("mask"));
  program.forward();
  s.sync();
  ParityReport report{
      cat("inpaint ", found.family, ", width ", width, found.spectral_norm ? ", spectral norm " + how : ""), {}, {}};
  const auto output = [&](Value v) { return nchw_of(values_of(s, program.tensor(v)), size); };
  c.compare(report, "expect.coarse", output(out.coarse), c.values("expect.coarse"), kForwardTolerance);
  c.compare(report, "expect.refined", output(out.refined), c.values("expect.refined"), kRefinedTolerance);
  if (!training) return report;
  // Half the summed squares of both outputs' distances from the image.
  for (const Value v : {out.coarse, out.refined}) {
    std::vector<double> gradient = values_of(s, program.tensor(v));
    for (size_t i = 0; i < gradient.size(); ++i) gradient[i] -= 2 * picture[i] - 1;
    set_values(s, program.gradient(v), gradient);
  }
  program.backward(false);
  s.sync();
  compare_gradients(report, s, c, program.params());
  return report;
}

ParityReport replay_loss(Stream& s, const Case& c, const ParityOptions& options) {
  const std::string name = c.text("loss");
  LossSettings settings;
  for (const auto& [key, initial] : default_settings(name)) settings[key] = c.number(key, initial);
  const std::unique_ptr<Loss> loss = make_loss(name, settings);
  const std::vector<int64_t> pred_shape = c.shape("pred", 2), target_shape = c.shape("target", 2);
  TT_CHECK(pred_shape[1] == loss->pred_width() && target_shape[1] == loss->target_width() &&
               pred_shape[0] == target_shape[0],
           DataError, c.file().path(), ": ", name, " compares [N,", loss->pred_width(), "] with [N,",
           loss->target_width(), "], the file has ", to_string(pred_shape), " and ", to_string(target_shape));
  const int n = int(pred_shape[0]);
  const DType type = accumulator_of(options.compute);
  const OwnedTensor pred(s.place(), {n, 1, 1, loss->pred_width()}, options.compute);
  const OwnedTensor gradient(s.place(), {n, 1, 1, loss->pred_width()}, options.compute);
  const OwnedTensor target(s.place(), {n, 1, 1, loss->target_width()}, type), value(s.place(), {n, 1, 1, 1}, type);
  const OwnedTensor state(s.place(), {1, 1, 1, int(sizeof(StepState))}, DType::u8);
  const StepState one;
  upload(s, state, &one);
  set_values(s, pred, c.values("pred"));
  set_values(s, target, c.values("target"));
  loss->eval(s, pred, target, value, gradient, state.tensor.as<StepState>());
  s.sync();
  ParityReport report{"loss " + name, {}, {}};
  c.compare(report, "expect.loss", values_of(s, value), c.values("expect.loss"), kForwardTolerance);
  c.compare(report, "expect.grad", values_of(s, gradient), c.values("expect.grad"), kTrainingTolerance);
  return report;
}

}  // namespace

bool ParityReport::passed() const {
  return !rows.empty() && std::all_of(rows.begin(), rows.end(), [](const ParityRow& r) { return r.passed(); });
}

ParityReport replay_parity_case(Stream& s, const Safetensors& file, const ParityOptions& options) {
  const Case c(file, options);
  const std::string kind = c.text("kind");
  if (kind == "net") return replay_net(s, c, options);
  if (kind == "inpaint") return replay_inpaint(s, c, options);
  if (kind == "loss") return replay_loss(s, c, options);
  throw DataError(cat(file.path(), ": kind \"", kind, "\" is not known; parity replays net, inpaint and loss"));
}

void print_parity_report(const std::string& path, const ParityReport& report) {
  std::printf("%s: %s\n", path.c_str(), report.what.c_str());
  std::printf("  %-52s %12s %12s %9s\n", "tensor", "largest", "relative", "limit");
  for (const ParityRow& r : report.rows) {
    std::printf("  %-52s %12.3e %12.3e %9.0e  %s\n", r.tensor.c_str(), r.largest, r.relative, r.limit,
                r.passed() ? "ok" : "FAILED");
  }
}

}  // namespace telltale
