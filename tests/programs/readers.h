#pragma once
// Other people's programs that read what ours write: packages of PyPI (tools/setup --with-readers).
#include <string>

#include "base/check.h"
#include "tests/engine/program_run.h"

namespace telltale {

/// Runs one of tests/programs/*.py; its exit code is 77 where the packages are not installed.
inline Outcome read_by_python(const std::string& script_and_words, const std::string& scratch) {
  const char* home = std::getenv("HOME");
  const std::string own = cat(home ? home : "", "/.cache/telltale/readers/bin/python3");
  const std::string python = std::filesystem::exists(own) ? own : "python3";
  return Running("", scratch, cat(python, " ", TT_SOURCE_DIR, "/tests/programs/", script_and_words, "; exit $?;"))
      .wait();
}

}  // namespace telltale
