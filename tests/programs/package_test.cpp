// What is installed and what is packaged runs where it is put: from its own folder and through links, with its weights.
#include <filesystem>

#include "models/detector/detector.h"
#include "tests/programs/synth_fixture.h"
#include "weights/names.h"
#include "weights/weights_file.h"

namespace telltale {
namespace {

namespace fs = std::filesystem;

class Package : public SynthOnScenes {
 protected:
  Package() : SynthOnScenes(2) {
    const DetectorInfo info{.net = "resnet18", .width = 0.125, .size = 64};
    Stream stream = Stream::cpu(1);
    const Program program(detector_graph(info, 1, info.size).graph, stream, {});
    write_weights(dir_ / "detector.safetensors", params_dict(stream, program.params()), detector_metadata(info));
  }
  static std::string build_folder() { return fs::path(TT_BIN_DIR).parent_path().string(); }
  Outcome shell(const std::string& line) const { return Running("", dir_ / "said", line + "; exit $?;").wait(); }
  Outcome synth(const std::string& program) const {
    fs::remove_all(dir_ / "data");
    return shell(cat(program, " --photos ", photos(), " --out ", dir_ / "data", " --size 64 --quiet --seed 1"));
  }
  /// Paints with the weights that came along, and looks at photographs with the program beside.
  void expect_to_work(const std::string& bin) const {
    Outcome said = synth(bin + "/telltale-synth");
    ASSERT_EQ(said.code, 0) << said.err;
    EXPECT_TRUE(fs::exists(dir_ / "data/labels.csv"));
    said = shell(cat(bin, "/telltale-infer ", photos(), " --weights ", dir_ / "detector.safetensors", " --quiet"));
    ASSERT_EQ(said.code, 0) << said.err;
    EXPECT_EQ(std::count(said.out.begin(), said.out.end(), '\n'), 2) << said.out;
  }
};

TEST_F(Package, AnInstallationRunsAndFindsItsWeights) {
  const std::string prefix = dir_ / "prefix";
  const Outcome installed = shell(cat("cmake --install ", build_folder(), " --prefix ", prefix));
  ASSERT_EQ(installed.code, 0) << installed.err;
  expect_to_work(prefix + "/bin");
  for (const char* file : {"share/telltale/weights/deepfill_v2.safetensors", "share/doc/telltale/copyright",
                           "share/bash-completion/completions/telltale-infer"})
    EXPECT_TRUE(fs::exists(prefix + "/" + file)) << file;
  if (shell("command -v help2man").code == 0) {
    EXPECT_NE(content(prefix + "/share/man/man1/telltale-infer.1").find("\\-\\-annotate"), std::string::npos);
  }

  EXPECT_TRUE(shell(prefix + "/bin/telltale-eval --version").out.starts_with("telltale-eval (Telltale) "));
  const Outcome usage = shell(prefix + "/bin/telltale-eval --no-such-option");
  EXPECT_EQ(usage.code, 2);
  EXPECT_TRUE(usage.err.starts_with("telltale-eval: ")) << usage.err;

  // What bash would offer behind "telltale-infer --prec" and behind "telltale-infer --precision b".
  const std::string complete =
      cat("bash -c '. ", prefix, "/share/bash-completion/completions/telltale-infer; COMP_WORDS=(", prefix,
          "/bin/telltale-infer ");
  EXPECT_EQ(shell(complete + "--prec); COMP_CWORD=1; _telltale; echo ${COMPREPLY[@]}'").out, "--precision\n");
  EXPECT_EQ(shell(complete + "--precision b); COMP_CWORD=2; _telltale; echo ${COMPREPLY[@]}'").out, "bf16\n");

  // Programs that were started together find what joins them, or say that this build has none.
  const bool joins = fs::exists(std::string(TT_BIN_DIR) + "/libtelltale_mpi.so");
  EXPECT_EQ(fs::exists(prefix + "/lib/telltale/libtelltale_mpi.so"), joins);
  const Outcome together = shell(cat("RANK=0 WORLD_SIZE=2 ", prefix, "/bin/telltale-infer ", photos(), " --quiet"));
  EXPECT_EQ(together.code, 2);
  EXPECT_NE(together.err.find(joins ? "but MPI joins 1" : "this build has no MPI"), std::string::npos) << together.err;

  fs::create_symlink(prefix + "/bin/telltale-synth", dir_ / "link");
  EXPECT_EQ(synth(dir_ / "link").code, 0);
  fs::remove_all(prefix + "/share/telltale");
  const Outcome without = synth(dir_ / "link");
  EXPECT_EQ(without.code, 2);
  EXPECT_NE(without.err.find(prefix + "/share/telltale/weights"), std::string::npos) << without.err;
  EXPECT_EQ(without.err_lines(), 1);
}

TEST_F(Package, PackagesHoldTheSameAndNameWhatTheyNeed) {
  if (shell("command -v dpkg-deb && command -v dpkg-shlibdeps").code != 0) GTEST_SKIP() << "no Debian tools";
  const std::string packages = dir_ / "packages";
  const Outcome packed = shell(cat("cpack --config ", build_folder(), "/CPackConfig.cmake -G 'DEB;TGZ' -B ", packages));
  ASSERT_EQ(packed.code, 0) << packed.out << packed.err;
  const std::string unpack = cat("cd ", packages, " && mkdir deb tar && dpkg-deb -x telltale_*.deb deb && ");
  const Outcome unpacked =
      shell(unpack + "tar -C tar --strip-components 1 -xf telltale-*.tar.gz && dpkg-deb -f *.deb Depends");
  ASSERT_EQ(unpacked.code, 0) << unpacked.err;
  for (const char* library : {"libc6", "libgomp1", "libjpeg", "libpng16"})
    EXPECT_NE(unpacked.out.find(library), std::string::npos) << library << " is not in " << unpacked.out;
  expect_to_work(packages + "/deb/usr/bin");
  expect_to_work(packages + "/tar/usr/bin");
}

// A processor without AVX, by QEMU: the program must say so and not die of an instruction.
TEST_F(Package, AnOldProcessorIsToldKindly) {
  if (shell("command -v qemu-x86_64").code != 0) GTEST_SKIP() << "no qemu-x86_64 (Debian's qemu-user)";
  const Outcome said =
      shell(cat("qemu-x86_64 -cpu Nehalem ", programs(), "/infer --help 2>&1 | grep -v '^qemu-x86_64: warning'"));
  EXPECT_NE(said.out.find("infer: this processor lacks AVX2"), std::string::npos) << said.out;
}

}  // namespace
}  // namespace telltale
