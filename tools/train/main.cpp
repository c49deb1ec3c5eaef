// train: a detector or a locator of painted regions, or the inpainter itself.
#include <cstdio>
#include <string>

#include "tools/train/tasks.h"

namespace {

/// The value of the last --task, or "detect". Looked at before parsing, because the tasks have different flags.
std::string task_of(int argc, char** argv) {
  std::string task = "detect";
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (word == "--task" && i + 1 < argc) task = argv[i + 1];
    if (word.starts_with("--task=")) task = word.substr(7);
  }
  return task;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string task = task_of(argc, argv);
  if (task == "detect") return telltale::train_detector(argc, argv);
  if (task == "inpaint") return telltale::train_inpainter(argc, argv);
  if (task == "locate") return telltale::train_locator(argc, argv);
  std::fprintf(stderr, "train: --task %s: expected detect, inpaint or locate\n", task.c_str());
  return 2;
}
