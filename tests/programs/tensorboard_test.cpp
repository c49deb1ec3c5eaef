// train --tensorboard: TensorBoard's own reader finds every figure and every sample picture, also of a run that went
// on.
#include "tests/programs/readers.h"
#include "tests/programs/synth_fixture.h"

namespace telltale {
namespace {

class TensorBoard : public SynthOnScenes {
 protected:
  TensorBoard() : SynthOnScenes(6) {}
  Outcome train(const std::string& words) const {
    return run(cat("train --task inpaint --photos ", photos(), " --out ", dir_ / "run", " --tensorboard ",
                   dir_ / "events",
                   " --width 8 --size 64 --batch 1 --adversarial-weight 0 --report-steps 2 --device cpu "
                   "--threads 1 --quiet ",
                   words));
  }
};

TEST_F(TensorBoard, ItsReaderFindsFiguresAndPictures) {
  Outcome said = train("--steps 2");
  ASSERT_EQ(said.code, 0) << said.err;
  said = train("--steps 4 --resume");
  ASSERT_EQ(said.code, 0) << said.err;
  said = read_by_python(cat("read_events.py ", dir_ / "events"), dir_ / "read");
  if (said.code == 77) GTEST_SKIP() << said.out;
  ASSERT_EQ(said.code, 0) << said.out << said.err;
  for (const char* line : {"scalar train/refined_l1 1 2 3 4\n", "scalar train/lr 1 2 3 4\n",
                           "scalar by_step/val_psnr 2 4\n", "image samples 2 4\n"})
    EXPECT_NE(said.out.find(line), std::string::npos) << line << " is not in\n" << said.out;
}

}  // namespace
}  // namespace telltale
