#pragma once
// The locating task: which pixels of a picture were painted.
#include "models/locator/recipe.h"
#include "models/training/task.h"

namespace telltale {

/// What a locator is. A weights file of ours says it in its metadata, each field under its own name.
struct LocatorInfo {
  std::string net = "locator";
  int width = 16;
  bool residuals = true;  ///< of the net "locator"; "trace_locator" always has every trace
  bool bayar = false;     ///< of the net "locator": filters under Bayar's constraint
  int scales = 1;         ///< of the net "trace_locator": at how many it takes residuals, 1 or 2
};
/// The nets that a locator may be, by name.
std::vector<std::string> locator_nets();
/// Whether the net compares places of its picture with each other, so that what it says of one depends on the rest.
bool compares_places(const LocatorInfo&);
/// Whether the net looks for traces on the grids of JPEG blocks, which scaling destroys.
bool reads_grids(const LocatorInfo&);
/// A locator as a graph; its head is {N,S/2,S/2,1}, logits. `image_size` S must be a multiple of 8.
PictureGraph locator_graph(const LocatorInfo&, int batch, int image_size, Tensor resident = {});
/// The same for pictures {N,H,W,3}, H and W multiples of 8.
PictureGraph locator_graph(const LocatorInfo&, const Shape& pictures, Tensor resident = {});
/// Pixels of the picture that a logit stands for, along one axis.
inline constexpr int kLocatorScale = 2;

class LocateTask final : public Task {
 public:
  /// The recipe must be one that check_recipe lets pass.
  explicit LocateTask(const LocateRecipe& recipe) : recipe_(recipe) {}
  const char* name() const override { return "locate"; }
  const TrainingRecipe& recipe() const override { return recipe_; }
  nlohmann::ordered_json recipe_json() const override { return to_json(recipe_); }
  std::map<std::string, std::string> metadata() const override;
  PictureGraph graph(int batch, int image_size, Tensor resident) const override;
  std::string weights_name() const override { return "the weights of a " + recipe_.net; }
  std::vector<Head> heads(int image_size) const override;
  bool masks() const override { return true; }
  Augment augmentation(int stored) const override;
  int training_size(int stored) const override;
  std::vector<std::string> validation_columns() const override;
  std::unique_ptr<Judge> judge(const Dataset&) const override;
  std::vector<std::string> encoder() const override;

 private:
  LocatorInfo info() const { return {recipe_.net, recipe_.width, recipe_.residuals, recipe_.bayar, recipe_.scales}; }
  LocateRecipe recipe_;
};

}  // namespace telltale
