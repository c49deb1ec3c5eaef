#pragma once
// The frame every tool's main stands in: common options, errors in one line, exit codes.
#include <cstdint>
#include <functional>
#include <string>

#include "base/check.h"

namespace CLI {
class App;
}

namespace telltale {

/// What every tool takes.
struct CommonOptions {
  std::string device = "auto";  ///< auto, cpu, cuda or cuda:i
  int threads = 0;              ///< 0: every core
  uint64_t seed = 0;
  bool quiet = false;   ///< no progress and no remarks; warnings, errors and results stay
  std::string command;  ///< the whole command line, quoted for a shell: for reports
};

/// A tool's name as users type it (where it is installed with "telltale-" before it), and what it does in one sentence.
struct ToolInfo {
  std::string name, description;
};

/// Parses the command line (`setup` adds the tool's own options), then calls `run` and returns its exit code. Every
/// exception ends in one line "NAME: …" on stderr. Returns 0 after --help and --version, 2 for a bad command line or
/// UsageError, 1 for any other failure, what could not be written to standard output or error among them. Numbers are
/// decimal (010 is 10) and finite. Sets up the log and the interrupt flag.
int run_tool(const ToolInfo& tool, int argc, char** argv, const std::function<void(CLI::App&)>& setup,
             const std::function<int(const CommonOptions&)>& run);

}  // namespace telltale
