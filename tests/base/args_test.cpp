// The frame of every program: numbers, words and streams as users mean them.
#include "base/args.h"

#include <gtest/gtest.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <string>
#include <vector>

namespace telltale {
namespace {

struct Parsed {
  int code = -1;
  int whole = 0;
  double real = 0;
  uint64_t seed = 0;
  std::vector<std::string> paths;
  std::string said;
};

Parsed parse(std::vector<std::string> words) {
  Parsed p;
  words.insert(words.begin(), "tool");
  std::vector<char*> argv;
  for (std::string& w : words) argv.push_back(w.data());
  ::testing::internal::CaptureStderr();
  p.code = run_tool(
      {"tool", "A tool."}, int(argv.size()), argv.data(),
      [&](CLI::App& app) {
        app.add_option("PATH", p.paths);
        app.add_option("--whole", p.whole)->check(CLI::Range(-100, 100));
        app.add_option_function<double>("--real", [&](const double& v) { p.real = v; });
      },
      [&](const CommonOptions& common) {
        p.seed = common.seed;
        return 0;
      });
  p.said = ::testing::internal::GetCapturedStderr();
  return p;
}

TEST(Args, NumbersAreDecimal) {
  EXPECT_EQ(parse({"--whole", "010"}).whole, 10);
  EXPECT_EQ(parse({"--whole=-010"}).whole, -10);
  EXPECT_EQ(parse({"--whole", "000"}).whole, 0);
  EXPECT_EQ(parse({"--seed", "007"}).seed, 7u);
  EXPECT_EQ(parse({"--seed", "18446744073709551615"}).seed, ~uint64_t(0));
  EXPECT_EQ(parse({"--real", "010.5"}).real, 10.5);
  EXPECT_EQ(parse({"--real", "-1e-3"}).real, -1e-3);
  EXPECT_EQ(parse({"--real", ".5"}).real, .5);
}

TEST(Args, WhatIsNoDecimalNumberIsWrongUsage) {
  for (const char* whole : {"0x10", "1.5", "1e3", "0b1", "ten", "", "101"})
    EXPECT_EQ(parse({cat("--whole=", whole)}).code, 2) << whole;
  for (const char* seed : {"-1", "0x1", "18446744073709551616"})
    EXPECT_EQ(parse({cat("--seed=", seed)}).code, 2) << seed;
  for (const char* real : {"nan", "-nan", "inf", "-Infinity", "1e999", "0x1p3", "1,5", "half"})
    EXPECT_EQ(parse({cat("--real=", real)}).code, 2) << real;
  const Parsed p = parse({"--real", "nan"});
  EXPECT_NE(p.said.find("not a finite decimal number"), std::string::npos) << p.said;
  EXPECT_EQ(std::count(p.said.begin(), p.said.end(), '\n'), 1) << p.said;
}

TEST(Args, VersionNamesTheProgramAndWhatItFinds) {
  ::testing::internal::CaptureStdout();
  const int code = parse({"--version"}).code;
  const std::string said = ::testing::internal::GetCapturedStdout();
  EXPECT_EQ(code, 0);
  EXPECT_EQ(said.find("tool (Telltale) "), 0u) << said;
  for (const char* line : {"\ncommit: ", "\ncompiler: ", "\nprocessor: ", "\nCUDA: ", "\ncuDNN: ", "\noneDNN: "})
    EXPECT_NE(said.find(line), std::string::npos) << line << " is missing in\n" << said;
  EXPECT_EQ(said.back(), '\n');
}

TEST(Args, BracketsInPathsStay) {
  EXPECT_EQ(parse({"[set1]", "a", "[a,b]"}).paths, (std::vector<std::string>{"./[set1]", "a", "./[a,b]"}));
}

}  // namespace
}  // namespace telltale
