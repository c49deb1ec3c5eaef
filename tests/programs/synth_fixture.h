#pragma once
// `synth` on a folder of drawn scenes, for tests that run the real program.
#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "data/codec.h"
#include "data/scenes.h"
#include "tests/data/data_fixture.h"
#include "tests/engine/program_run.h"

namespace telltale {

/// Whole files in a folder; 0 where there is none.
inline size_t files_in(const std::string& folder) {
  std::error_code missing;
  size_t count = 0;
  for (std::filesystem::directory_iterator it(folder, missing), end; !missing && it != end; ++it)
    count += it->path().string().find(".part-") == std::string::npos;
  return count;
}

class SynthOnScenes : public ::testing::Test {
 protected:
  static constexpr int kSide = 64;  ///< of the scenes
  explicit SynthOnScenes(int count) {
    std::filesystem::create_directories(photos());
    for (int i = 0; i < count; ++i) write_png(photo(i), draw_scene(kSide, uint64_t(i)));
  }
  std::string photos() const { return dir_ / "photos"; }
  std::string photo(int i) const { return photos() + cat("/scene", 100 + i, ".png"); }
  /// A command with everything that must be said; `more` may say some of it otherwise.
  std::string line(const std::string& out, const std::string& more = "") const {
    std::string text = cat("synth --photos ", photos(), " --out ", dir_ / out, " --quiet ", more);
    for (const std::string said : {"--weights random:7", "--width 8", "--size 64", "--device cpu", "--threads 1"})
      if (more.find(said.substr(0, said.find(' '))) == std::string::npos) text += " " + said;
    return text;
  }
  Outcome run(const std::string& line, const std::string& before = "") const {
    return Running(line, dir_ / "run", before).wait();
  }
  Folder dir_;
};

}  // namespace telltale
