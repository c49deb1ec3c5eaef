#pragma once
// What `infer` does with each kind of net.
#include <optional>
#include <string>
#include <vector>

#include "base/args.h"
#include "base/ranks.h"
#include "kernels/device/stream.h"
#include "tools/infer/images.h"

namespace telltale {

struct InferSettings {
  std::vector<std::string> paths;
  std::string weights, json = "-", annotations, masks, report, precision = "f32";
  std::string command;  ///< the whole line, for the report
  int report_mb = 48;
  std::optional<double> threshold;  ///< none: the weights' own, else .5
  int batch = 8;
  bool explain = false;  ///< with a detector: draw where it looked
  bool check = false;
  Ranks* ranks = &Ranks::none();  ///< who look at pictures together
  double rank_timeout = 600;
};

/// Each looks at every picture, in order, and returns how many could not be read or drawn, as rank 0 knows: by a
/// detector's word on the whole picture, or by a locator's map of it.
int detect(const InferSettings&, const NamedImages&, Stream&);
int locate(const InferSettings&, const NamedImages&, Stream&);
/// --check: the first readable pictures through the net on this device and another. They return the exit code.
int check_detector(const InferSettings&, const std::vector<std::string>& paths, Stream&);
int check_locator(const InferSettings&, const std::vector<std::string>& paths, Stream&);

}  // namespace telltale
