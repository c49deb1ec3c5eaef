#include "base/args.h"

#include <malloc.h>
#include <spdlog/spdlog.h>

#include <CLI/CLI.hpp>
#include <cstdio>

#include "base/interrupt.h"
#include "base/log.h"

namespace telltale {
namespace {

std::string quoted(const std::string& word) {
  const bool plain = !word.empty() && word.find_first_not_of(
                                          "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                          "0123456789_-+=:,./@%") == std::string::npos;
  if (plain) return word;
  std::string out = "'";
  for (char c : word) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

void check_device_name(const std::string& device) {
  const bool numbered = device.rfind("cuda:", 0) == 0 && device.size() > 5 &&
                        device.find_first_not_of("0123456789", 5) == std::string::npos;
  TT_CHECK(device == "auto" || device == "cpu" || device == "cuda" || device == "emulated" || numbered, UsageError,
           "--device ", device, ": expected auto, cpu, cuda or cuda:i");
}

/// CLI11 spreads some messages over lines; a user gets one.
std::string one_line(std::string text) {
  while (!text.empty() && text.back() == '\n') text.pop_back();
  for (char& c : text)
    if (c == '\n') c = ' ';
  return text;
}

int fail(const ToolInfo& tool, const std::string& text, int code) {
  clear_progress_line();
  std::fprintf(stderr, "%s: %s\n", tool.name.c_str(), one_line(text).c_str());
  return code;
}

}  // namespace

int run_tool(const ToolInfo& tool, int argc, char** argv, const std::function<void(CLI::App&)>& setup,
             const std::function<int(const CommonOptions&)>& run) {
  // Large blocks go back to the system when they are freed; glibc would soon keep those of up to 32 MiB.
  mallopt(M_MMAP_THRESHOLD, 4 << 20);
  CommonOptions common;
  CLI::App app(tool.description, tool.name);
  try {
    for (int i = 0; i < argc; ++i) common.command += (i ? " " : "") + quoted(argv[i]);
    setup(app);
    const auto* group = "Common options";
    app.add_option("--device", common.device, "auto, cpu, cuda or cuda:i")->capture_default_str()->group(group);
    app.add_option("--threads", common.threads, "CPU threads; 0 takes every core")
        ->check(CLI::Range(0, 4096))
        ->capture_default_str()
        ->group(group);
    app.add_option("--seed", common.seed, "seed of every random choice")->capture_default_str()->group(group);
    app.add_flag("--quiet", common.quiet, "no progress and no remarks")->group(group);
    app.parse(argc, argv);
    check_device_name(common.device);
    set_up_log(tool.name, common.quiet);
    watch_interrupts();
    return run(common);
  } catch (const CLI::ParseError& e) {
    if (e.get_exit_code() == int(CLI::ExitCodes::Success)) return app.exit(e);  // --help
    return fail(tool, one_line(e.what()) + " (see " + tool.name + " --help)", 2);
  } catch (const UsageError& e) {
    return fail(tool, e.what(), 2);
  } catch (const std::bad_alloc&) {
    return fail(tool, "out of memory; try a smaller batch", 1);
  } catch (const std::exception& e) {
    return fail(tool, e.what(), 1);
  }
}

}  // namespace telltale
