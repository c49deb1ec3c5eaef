// synth --shard: parts made side by side, killed and copied together must end in the bytes of one run.
#include <sys/file.h>

#include "data/scenes.h"
#include "tests/data/data_fixture.h"
#include "tests/engine/program_run.h"

namespace telltale {
namespace {

namespace fs = std::filesystem;

constexpr int kPhotos = 22;

class Shards : public ::testing::Test {
 protected:
  Shards() {
    for (int i = 0; i < kPhotos; ++i) {
      fs::create_directories(dir_ / "photos");
      write_png(dir_ / cat("photos/scene", 100 + i, ".png"), draw_scene(32, uint64_t(i)));
    }
  }
  std::string line(const std::string& out, const std::string& more, const std::string& photos = "") const {
    return cat("synth --out ", dir_ / out, photos.empty() ? " --photos " + (dir_ / "photos") : photos,
               " --weights random:7 --width 16 --size 32 --batch 2 --device cpu --threads 1 ", more);
  }
  Outcome run(const std::string& command) const { return Running(command, dir_ / "run").wait(); }
  size_t journal_lines(const std::string& out, const std::string& journal) const {
    const std::string text = content(dir_ / out + "/" + journal);
    return size_t(std::count(text.begin(), text.end(), '\n'));
  }
  Folder dir_;
};

TEST_F(Shards, SideBySideAndKilledTheyEndInTheBytesOfOneRun) {
  ASSERT_EQ(run(line("one", "--quiet")).code, 0);
  Running first(line("set", "--shard 1/3"), dir_ / "first"), third(line("set", "--shard 3/3"), dir_ / "third");
  third.wait_for([&] { return journal_lines("set", "psnr-3-of-3.csv") >= 2; });
  third.signal(SIGKILL);
  EXPECT_EQ(third.wait().code, 128 + SIGKILL);
  const Outcome ended = first.wait();
  ASSERT_EQ(ended.code, 0) << ended.err;
  // 11 fakes are groups 0 to 5, the last of one; shard 1 has groups 0 and 3, and 4 of the 11 reals.
  EXPECT_NE(ended.err.find("shard 1/3 has its 8 images"), std::string::npos) << ended.err;
  EXPECT_NE(ended.err.find("without --shard"), std::string::npos) << ended.err;
  EXPECT_EQ(journal_lines("set", "psnr-1-of-3.csv"), 9u);
  for (const char* late : {"labels.csv", "psnr.csv", "dataset.json"}) EXPECT_FALSE(fs::exists(dir_ / "set/" + late));

  const std::string others = dir_ / "set/images/scene100.jpg.telltale.part-abcdef";
  put(others, "another shard's, being written");
  const int held = ::open(others.c_str(), O_RDONLY | O_CLOEXEC);
  ASSERT_EQ(::flock(held, LOCK_EX), 0);
  std::ofstream(dir_ / "set/psnr-3-of-3.csv", std::ios::app) << "scene1";  // torn by a kill
  ASSERT_EQ(run(line("set", "--shard 3/3 --quiet")).code, 0);
  EXPECT_TRUE(fs::exists(others));
  ::close(held);
  ASSERT_EQ(run(line("set", "--shard 2/3 --quiet")).code, 0);
  EXPECT_FALSE(fs::exists(others)) << "nobody's any more";
  size_t lines = 0;
  for (int i = 1; i <= 3; ++i) lines += journal_lines("set", cat("psnr-", i, "-of-3.csv")) - 1;
  EXPECT_EQ(lines, size_t(kPhotos)) << "every row belongs to one shard";

  const auto written = fs::last_write_time(dir_ / "set/images/scene104.jpg");
  const Outcome whole = run(line("set", ""));
  ASSERT_EQ(whole.code, 0) << whole.err;
  EXPECT_EQ(whole.err.find("painted"), std::string::npos) << "nothing was left to paint: " << whole.err;
  EXPECT_EQ(fs::last_write_time(dir_ / "set/images/scene104.jpg"), written);
  EXPECT_TRUE(tree(dir_ / "set") == tree(dir_ / "one"));
}

TEST_F(Shards, MadeApartAndCopiedTogetherWhatLacksIsPainted) {
  const std::string scenes = " --scenes 12";
  ASSERT_EQ(run(line("one", "--quiet", scenes)).code, 0);
  for (const char* part : {"1", "3"})
    ASSERT_EQ(run(line(cat("part", part), cat("--quiet --shard ", part, "/3"), scenes)).code, 0);
  for (const char* part : {"1", "3"})
    fs::copy(dir_ / cat("part", part), dir_ / "set",
             fs::copy_options::recursive | fs::copy_options::overwrite_existing);
  ASSERT_EQ(run(line("set", "--quiet", scenes)).code, 0);
  EXPECT_TRUE(tree(dir_ / "set") == tree(dir_ / "one"));
}

TEST_F(Shards, DrawScenesAtOnce) {
  const std::string scenes = " --scenes 40";
  ASSERT_EQ(run(line("one", "--quiet", scenes)).code, 0);
  {
    Running a(line("set", "--shard 1/2 --quiet", scenes), dir_ / "a"),
        b(line("set", "--shard 2/2 --quiet", scenes), dir_ / "b");
    for (Running* shard : {&a, &b}) {
      const Outcome r = shard->wait();
      ASSERT_EQ(r.code, 0) << r.err;
    }
  }
  ASSERT_EQ(run(line("set", "--quiet", scenes)).code, 0);
  EXPECT_TRUE(tree(dir_ / "set") == tree(dir_ / "one"));
}

TEST_F(Shards, EachIsMadeOnceAndAWholeRunSuffersNoOther) {
  Running shard(line("set", "--shard 1/2 --quiet"), dir_ / "shard");
  // Its header: the journal exists a moment before it is locked.
  shard.wait_for([&] { return journal_lines("set", "psnr-1-of-2.csv") >= 1; });
  shard.signal(SIGSTOP);
  ASSERT_FALSE(shard.ended()) << content(dir_ / "shard.err");
  const Outcome same = run(line("set", "--shard 1/2 --quiet")), whole = run(line("set", "--quiet")),
                other = run(line("set", "--shard 2/2 --quality 90 --quiet"));
  shard.signal(SIGCONT);
  EXPECT_EQ(same.code, 1);
  EXPECT_NE(same.err.find("psnr-1-of-2.csv: another synth makes this shard"), std::string::npos) << same.err;
  EXPECT_EQ(whole.code, 1);
  EXPECT_NE(whole.err.find("another synth is at work"), std::string::npos) << whole.err;
  EXPECT_EQ(other.code, 1);
  EXPECT_NE(other.err.find("was begun with quality 95"), std::string::npos) << other.err;
  EXPECT_EQ(shard.wait().code, 0);
}

TEST_F(Shards, RefusedInOneLine) {
  for (const char* part :
       {"0/3", "4/3", "x", "3", "1/0", "1/", "/2", "1/2/3", "-1/3", "1/3x", "1.5/3", "99999999999/3"}) {
    const Outcome r = run(line("set", cat("--shard ", part)));
    EXPECT_EQ(r.code, 2) << part;
    EXPECT_EQ(r.err, cat("synth: --shard ", part, ": must be I/N with I from 1 to N, such as 1/3\n"));
    EXPECT_FALSE(fs::exists(dir_ / "set"));
  }
}

}  // namespace
}  // namespace telltale
