#include "base/args.h"

#include <fcntl.h>
#include <malloc.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cctype>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <iostream>

#include "base/interrupt.h"
#include "base/log.h"
#include "base/shell.h"
#include "base/version.h"

namespace telltale {
namespace {

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

/// Whoever takes the number of a closed standard stream would be written into: each gets a place where nothing can be.
void hold_standard_streams() {
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
    if (::fcntl(fd, F_GETFD) < 0 && errno == EBADF) ::open("/dev/null", O_RDONLY);  // takes the lowest number: fd's
}

/// Whether all that was said arrived: a full disk shows when a stream is flushed at the latest.
bool streams_are_well() {
  std::cout.flush();
  const bool out = std::fflush(stdout) == 0 && std::ferror(stdout) == 0 && !std::cout.fail();
  const bool err = std::fflush(stderr) == 0 && std::ferror(stderr) == 0;
  if (!out) std::fputs("standard output cannot be written\n", stderr);
  return out && err;
}

/// Numbers as people write them: decimal, with leading zeros and all. CLI11 takes 010 for 8, -1 for the largest
/// unsigned number, and nan.
std::string decimal(const std::string& text, bool is_unsigned, bool is_real) {
  const std::string digits = text.substr(text.find_first_not_of("+-") == 1 ? 1 : 0);
  if (is_real) {
    double value = 0;
    const char* const end = digits.data() + digits.size();
    const auto [stop, error] = std::from_chars(digits.data(), end, value);
    if (error == std::errc() && stop == end && std::isfinite(value)) return text;
    throw CLI::ValidationError(text, "not a finite decimal number");
  }
  if (!digits.empty() && digits.find_first_not_of("0123456789") == digits.npos) {
    if (is_unsigned && text[0] == '-') throw CLI::ValidationError(text, "not a number from 0 on");
    const char* const end = text.data() + text.size();
    uint64_t natural = 0;
    int64_t whole = 0;
    const char* const begin = text.data() + (text[0] == '+');
    const auto read = is_unsigned ? std::from_chars(begin, end, natural) : std::from_chars(begin, end, whole);
    if (read.ec != std::errc()) throw CLI::ValidationError(text, "too large");
    const size_t first = std::min(digits.find_first_not_of('0'), digits.size() - 1);
    return (text[0] == '-' ? "-" : "") + digits.substr(first);
  }
  const bool numeric = !digits.empty() && (std::isdigit(static_cast<unsigned char>(digits[0])) || digits[0] == '.');
  if (numeric) throw CLI::ValidationError(text, "not a whole decimal number");
  return text;  // a word, such as auto: the option knows
}

void take_decimals_only(CLI::App& app) {
  for (CLI::Option* option : app.get_options()) {
    const std::string type = option->get_type_name();
    const bool is_unsigned = type.starts_with("UINT"), is_real = type.starts_with("FLOAT");
    if (!is_unsigned && !is_real && !type.starts_with("INT")) continue;
    option->transform([=](const std::string& text) { return decimal(text, is_unsigned, is_real); });
  }
  for (CLI::App* part : app.get_subcommands([](CLI::App*) { return true; })) take_decimals_only(*part);
}

/// The words behind the program's name. CLI11 takes "[a,b]" for two words, but it is a path: "./[a,b]".
std::vector<std::string> words_of(int argc, char** argv) {
  std::vector<std::string> words;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    words.push_back(word.starts_with('[') && word.ends_with(']') ? "./" + word : word);
  }
  std::reverse(words.begin(), words.end());  // as CLI11 wants them
  return words;
}

int with_streams_checked(int code) { return code == 0 && !streams_are_well() ? 1 : code; }

}  // namespace

int run_tool(const ToolInfo& info, int argc, char** argv, const std::function<void(CLI::App&)>& setup,
             const std::function<int(const CommonOptions&)>& run) {
  ToolInfo tool = info;
  if (std::string(argv[0]).ends_with("telltale-" + tool.name)) tool.name = "telltale-" + tool.name;
  // Large blocks go back to the system when they are freed; glibc would soon keep those of up to 32 MiB.
  mallopt(M_MMAP_THRESHOLD, 4 << 20);
  hold_standard_streams();
  CommonOptions common;
  CLI::App app(tool.description, tool.name);
  try {
    for (int i = 0; i < argc; ++i) common.command += (i ? " " : "") + shell_word(argv[i]);
    setup(app);
    const auto* group = "Common options";
    app.add_option("--device", common.device, "auto, cpu, cuda or cuda:i")->capture_default_str()->group(group);
    app.add_option("--threads", common.threads, "CPU threads; 0 takes every core")
        ->check(CLI::Range(0, 4096))
        ->capture_default_str()
        ->group(group);
    app.add_option("--seed", common.seed, "seed of every random choice")->capture_default_str()->group(group);
    app.add_flag("--quiet", common.quiet, "no progress and no remarks")->group(group);
    app.set_version_flag(
           "--version", [&] { return version_text(tool.name); }, "print version, commit, processor and libraries")
        ->group(group);
    take_decimals_only(app);
    app.parse(words_of(argc, argv));
    check_device_name(common.device);
    set_up_log(tool.name, common.quiet);
    watch_interrupts();
    return with_streams_checked(run(common));
  } catch (const CLI::ParseError& e) {
    if (e.get_exit_code() == int(CLI::ExitCodes::Success))
      return with_streams_checked(app.exit(e));  // --help, --version
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
