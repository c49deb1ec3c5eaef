// Files that are written: whole or not at all, through links, into what is no file; and folders that are held.
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include <set>
#include <thread>

#include "base/atomic_file.h"
#include "base/folder_lock.h"
#include "base/json_text.h"
#include "base/outputs.h"
#include "base/regular_file.h"
#include "tests/data/data_fixture.h"

namespace telltale {
namespace {

namespace fs = std::filesystem;

std::string content_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST(AtomicFile, ALinkKeepsItsPlace) {
  Folder folder;
  put(folder / "there/target", "old");
  fs::create_symlink("there/target", folder / "link");
  fs::create_symlink("link", folder / "second");
  write_atomically(folder / "second", "new");
  EXPECT_TRUE(fs::is_symlink(folder / "second"));
  EXPECT_TRUE(fs::is_symlink(folder / "link"));
  EXPECT_EQ(content_of(folder / "there/target"), "new");
  fs::create_symlink("there/later", folder / "dangling");
  write_atomically(folder / "dangling", "made");
  EXPECT_EQ(content_of(folder / "there/later"), "made");
}

TEST(AtomicFile, ALoopOfLinksIsRefused) {
  Folder folder;
  fs::create_symlink("b", folder / "a");
  fs::create_symlink("a", folder / "b");
  refusal([&] { write_atomically(folder / "a", "x"); });
  EXPECT_TRUE(fs::is_symlink(folder / "a"));
}

TEST(AtomicFile, APipeIsWrittenThrough) {
  Folder folder;
  const std::string pipe = folder / "pipe";
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  std::string read;
  std::thread reader([&] { read = content_of(pipe); });
  write_atomically(pipe, "through");
  reader.join();
  EXPECT_EQ(read, "through");
  EXPECT_TRUE(fs::is_fifo(pipe));
}

TEST(AtomicFile, ADeviceIsWrittenThrough) {
  Folder folder;
  // A node of its own where this user may make one; else the system's.
  const std::string own = folder / "null";
  const bool made = mknod(own.c_str(), S_IFCHR | 0600, makedev(1, 3)) == 0;
  const std::string device = made && ::access(own.c_str(), W_OK) == 0 ? own : "/dev/null";
  const int probe = ::open(device.c_str(), O_WRONLY);
  if (probe < 0) GTEST_SKIP() << "this file system has no devices";
  ::close(probe);
  write_atomically(device, "x");
  EXPECT_TRUE(fs::is_character_file(device));
  EXPECT_NE(refusal([] { write_atomically("/dev/full", "x"); }).find("No space left"), std::string::npos);
}

TEST(AtomicFile, AnOpenDescriptorIsWrittenWhereItStands) {
  Folder folder;
  const std::string path = folder / "log";
  const int fd = ::open(path.c_str(), O_CREAT | O_WRONLY, 0600);
  ASSERT_GE(fd, 0);
  ASSERT_EQ(::write(fd, "before ", 7), 7);
  write_atomically(cat("/proc/self/fd/", fd), "between ");
  write_atomically(cat("/dev/fd/", fd), "and ");
  ASSERT_EQ(::write(fd, "after", 5), 5);
  ::close(fd);
  EXPECT_EQ(content_of(path), "before between and after");
}

TEST(AtomicFile, TheLongestNamesAreWritten) {
  Folder folder;
  const std::string name(255, 'n');
  write_atomically(folder / name, "x");
  EXPECT_EQ(content_of(folder / name), "x");
  EXPECT_NE(refusal([&] { write_atomically(folder / (name + "n"), "x"); }).find("name too long"), std::string::npos);
}

TEST(AtomicFile, KeepsAFilesMode) {
  Folder folder;
  put(folder / "f", "old");
  fs::permissions(folder / "f", fs::perms::owner_read | fs::perms::owner_write);
  write_atomically(folder / "f", "new");
  EXPECT_EQ(fs::status(folder / "f").permissions(), fs::perms::owner_read | fs::perms::owner_write);
}

std::set<std::string> names_in(const std::string& folder) {
  std::set<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) names.insert(entry.path().filename().string());
  return names;
}

/// A process that has begun to write a file, and waits.
class Writer {
 public:
  Writer(const std::string& path, bool nameless) {
    int begun[2];
    if (::pipe(begun) != 0) throw DataError("no pipe");
    pid_ = ::fork();
    if (pid_ == 0) {
      AtomicFile file(path, nameless);
      file.write("half");
      if (::write(begun[1], "x", 1) == 1) ::pause();
      ::_exit(0);
    }
    char byte;
    EXPECT_EQ(::read(begun[0], &byte, 1), 1);
    for (int end : begun) ::close(end);
  }
  ~Writer() { kill(); }
  void kill() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(std::exchange(pid_, -1), nullptr, 0);
  }

 private:
  pid_t pid_;
};

/// Both ways of writing: without a name, and as where the file system knows no such files.
class AtomicFileWays : public ::testing::TestWithParam<bool> {
 protected:
  void write(const std::string& name, const char* text) {
    AtomicFile file(folder_ / name, GetParam());
    file.write(text);
    file.commit();
  }
  Folder folder_;
};
INSTANTIATE_TEST_SUITE_P(, AtomicFileWays, ::testing::Bool());

TEST_P(AtomicFileWays, NewAndReplaced) {
  const mode_t before = ::umask(027);
  write("f", "old");
  ::umask(before);
  EXPECT_EQ(fs::status(folder_ / "f").permissions(), fs::perms(0640));
  fs::permissions(folder_ / "f", fs::perms(0604));
  {
    AtomicFile late(folder_ / "f", GetParam()), lost(folder_ / "f", GetParam());
    write("f", "newer");
    EXPECT_EQ(content_of(folder_ / "f"), "newer");
    late.write("last");
    late.commit();
    lost.write("never");
  }
  EXPECT_EQ(content_of(folder_ / "f"), "last");
  EXPECT_EQ(fs::status(folder_ / "f").permissions(), fs::perms(0604));
  EXPECT_EQ(names_in(folder_.path()), std::set<std::string>{"f"});
}

TEST_P(AtomicFileWays, WhatAKilledWriterLeavesGoesWithTheNext) {
  const std::string name(250, 'n');  // too long to be whole in a temporary name
  Writer killed(folder_ / name, GetParam()), alive(folder_ / name, GetParam());
  killed.kill();
  EXPECT_EQ(names_in(folder_.path()).size(), GetParam() ? 0u : 2u);
  const std::string users[] = {"f.part-abcdef", "f.telltale.part-1", "x.telltale.part-abcdef.jpg"};
  for (const std::string& theirs : users) put(folder_ / theirs, "mine");
  fs::create_directory(folder_ / "f.telltale.part-folder");
  write(name, "whole");
  const auto left = names_in(folder_.path());
  EXPECT_EQ(left.size(), GetParam() ? 5u : 6u) << "the living one's stays";
  for (const std::string& theirs : users) EXPECT_TRUE(left.contains(theirs)) << theirs;
  alive.kill();
  remove_abandoned(folder_.path());
  EXPECT_EQ(names_in(folder_.path()).size(), 5u);
  EXPECT_EQ(content_of(folder_ / name), "whole");
}

TEST(RegularFile, NothingElseIsReadOrWaitedFor) {
  Folder folder;
  const auto says = [&](const std::string& path, const char* what) {
    EXPECT_NE(refusal([&] { open_regular(path); }).find(what), std::string::npos) << path;
  };
  ASSERT_EQ(mkfifo((folder / "pipe").c_str(), 0600), 0);
  says(folder / "pipe", "but a pipe");
  says(folder.path(), "but a folder");
  says("/dev/null", "but a device");
  says(folder / "none", "No such file");
}

TEST(FolderLock, OneAtATime) {
  Folder folder;
  {
    const FolderLock held(folder.path(), "another");
    EXPECT_TRUE(held.holds());
    EXPECT_NE(refusal([&] { FolderLock(folder.path(), "another run"); }).find("another run is at work in it"),
              std::string::npos);
    refusal([&] { FolderLock(folder.path(), "another", FolderLock::Kind::shared); });
  }
  const FolderLock first(folder.path(), "a", FolderLock::Kind::shared),
      second(folder.path(), "b", FolderLock::Kind::shared);
  refusal([&] { FolderLock(folder.path(), "another"); });
  EXPECT_FALSE(FolderLock().holds());
}

TEST(Outputs, AreNoInputs) {
  Folder folder;
  put(folder / "in", "x");
  fs::create_symlink("in", folder / "link");
  EXPECT_TRUE(same_file(folder / "in", folder / "link"));
  EXPECT_TRUE(same_file(folder / "none", folder / "./none"));
  EXPECT_TRUE(same_file("nowhere/to be found", "./nowhere/x/../to be found"));
  EXPECT_TRUE(lies_in("nowhere/a", "./nowhere"));
  EXPECT_FALSE(same_file(folder / "in", folder / "none"));
  EXPECT_TRUE(lies_in(folder / "a/b", folder.path()));
  EXPECT_TRUE(lies_in(folder.path(), folder.path() + "/"));
  EXPECT_FALSE(lies_in(folder.path() + "x", folder.path()));
  check_output("--json", folder / "out", {folder / "in"});
  check_output("--json", "/dev/null", {folder / "in"});
  EXPECT_NE(
      refusal<UsageError>([&] { check_output("--json", folder / "link", {folder / "in"}); }).find("would overwrite"),
      std::string::npos);
  refusal([&] { check_output("--json", folder.path(), {}); });
  refusal([&] { check_output("--json", folder / "no/out", {}); });
}

TEST(Outputs, ReplaceTextByTextAndNothingTwice) {
  Folder folder;
  put(folder / "text", "old\n");
  put(folder / "empty", "");
  write_png(folder / "photo.png", test_picture(8, 8));
  for (const char* name : {"text", "empty", "new"}) check_text_output("--json", folder / name, {});
  check_text_output("--json", "/dev/null", {});
  EXPECT_NE(refusal<UsageError>([&] { check_text_output("--json", folder / "photo.png", {}); }).find("is no text"),
            std::string::npos);
  refusal<UsageError>([&] { check_text_output("--json", folder / "text", {folder / "text"}); });
  check_apart("--report", folder / "a", "--json", folder / "b");
  check_apart("--report", "/dev/null", "--json", "/dev/null");
  fs::create_symlink("text", folder / "link");
  EXPECT_NE(refusal<UsageError>([&] {
              check_apart("--report", folder / "link", "--json", folder / "text");
            }).find("--json writes that file, too"),
            std::string::npos);
  refusal<UsageError>([&] { check_apart("--report", folder / "a", "--json", folder.path() + "/./a"); });
}

TEST(Outputs, AFolderCanBeMadeWhereThereIsOne) {
  Folder folder;
  put(folder / "file", "x");
  fs::create_symlink("none", folder / "dangling");
  check_output_folder("--out", folder.path());
  check_output_folder("--out", folder / "a/b/");
  for (const char* name : {"file", "file/x/y", "dangling"})
    EXPECT_NE(refusal([&] { check_output_folder("--out", folder / name); }).find("is no folder"), std::string::npos);
}

TEST(Outputs, WhatDesktopsLeaveIsNoContent) {
  Folder folder;
  for (const char* name : {".DS_Store", "Thumbs.db", "desktop.ini"}) put(folder / name, "x");
  EXPECT_EQ(first_content(folder.path()), "");
  put(folder / "b", "x");
  put(folder / "a", "x");
  EXPECT_EQ(first_content(folder.path()), "a");
  EXPECT_EQ(first_content(folder / "none"), "");
}

TEST(JsonText, TakesAnyBytes) {
  EXPECT_EQ(json_text(nlohmann::json{{"path", "d\xe9"}}), "{\"path\":\"d\xef\xbf\xbd\"}");
  EXPECT_EQ(json_text(nlohmann::json{{"a", 1}}, 1), "{\n \"a\": 1\n}");
}

}  // namespace
}  // namespace telltale
