#pragma once
// Runs the built programs as a user's shell does, and shows what they said.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <string>
#include <thread>

namespace telltale {

inline std::string content(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// Every file under a folder by relative path, with its bytes.
inline std::map<std::string, std::string> tree(const std::string& folder) {
  std::map<std::string, std::string> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder))
    if (entry.is_regular_file())
      files[std::filesystem::relative(entry.path(), folder).string()] = content(entry.path().string());
  return files;
}

struct Outcome {
  int code = -1;  ///< exit code, or 128 + the signal that ended it
  std::string out, err;
  int64_t err_lines() const { return std::count(err.begin(), err.end(), '\n'); }
};

/// Where the programs are: TT_PROGRAMS says so where the tests run on another machine than built them.
inline std::string programs() {
  const char* elsewhere = std::getenv("TT_PROGRAMS");
  return elsewhere ? elsewhere : TT_BIN_DIR;
}

/// One of the programs under sh, its output in files beside `scratch`.
class Running {
 public:
  /// `line`: "synth --photos …"; `before` stands in front of it in the shell ("ulimit -f 1;").
  Running(const std::string& line, const std::string& scratch, const std::string& before = "") : scratch_(scratch) {
    const std::string command = before + " exec " + programs() + "/" + line;
    pid_ = fork();
    if (pid_ != 0) return;
    const auto to = [&](const char* name, int as) {
      dup2(open((scratch + name).c_str(), O_CREAT | O_TRUNC | O_WRONLY, 0644), as);
    };
    to(".out", 1);
    to(".err", 2);
    execl("/bin/sh", "sh", "-c", command.c_str(), nullptr);
    _exit(127);
  }
  void signal(int number) const { ::kill(pid_, number); }
  bool ended() {
    if (!ended_) ended_ = waitpid(pid_, &status_, WNOHANG) == pid_;
    return ended_;
  }
  /// Polls until the condition holds or the program has ended.
  void wait_for(const std::function<bool()>& condition) {
    while (!ended() && !condition()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  Outcome wait() {
    if (!ended_) waitpid(pid_, &status_, 0);
    ended_ = true;
    return {WIFEXITED(status_) ? WEXITSTATUS(status_) : 128 + WTERMSIG(status_), content(scratch_ + ".out"),
            content(scratch_ + ".err")};
  }

 private:
  std::string scratch_;
  pid_t pid_ = -1;
  int status_ = 0;
  bool ended_ = false;
};

}  // namespace telltale
