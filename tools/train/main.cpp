// train: a detector or a locator of painted regions, or the inpainter itself.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <map>
#include <string>

#include "tools/train/tasks.h"

namespace {

/// The last --task, or "detect". Parsed by itself, because the tasks have different flags: each then parses everything,
/// and says what is wrong.
std::string task_of(int argc, char** argv) {
  std::string task = "detect";
  CLI::App app;
  app.set_help_flag();  // --help is the task's
  app.allow_extras();
  app.add_option("--task", task)->take_last();
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError&) {
    return "detect";
  }
  return task;
}

}  // namespace

int main(int argc, char** argv) {
  const std::map<std::string, int (*)(int, char**)> tasks = {{"detect", telltale::train_detector},
                                                             {"inpaint", telltale::train_inpainter},
                                                             {"locate", telltale::train_locator}};
  const std::string task = task_of(argc, argv);
  if (const auto found = tasks.find(task); found != tasks.end()) return found->second(argc, argv);
  std::fprintf(stderr, "train: --task %s: expected detect, inpaint or locate\n", task.c_str());
  return 2;
}
