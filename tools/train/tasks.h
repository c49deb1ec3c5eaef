#pragma once
// What `train` can teach. Each task has its own flags and its own --help.

namespace telltale {

/// Each parses the command line, trains, and returns the exit code.
int train_detector(int argc, char** argv);   ///< --task detect
int train_inpainter(int argc, char** argv);  ///< --task inpaint
int train_locator(int argc, char** argv);    ///< --task locate

}  // namespace telltale
