#pragma once
// The paper's task: whether a region of a picture was painted, and the box around it, from one vector a picture.
#include "models/detector/recipe.h"
#include "models/training/task.h"

namespace telltale {

class DetectTask final : public Task {
 public:
  /// The recipe must be one that check_recipe lets pass.
  explicit DetectTask(const Recipe& recipe) : recipe_(recipe) {}
  const char* name() const override { return "detect"; }
  const TrainingRecipe& recipe() const override { return recipe_; }
  nlohmann::ordered_json recipe_json() const override { return to_json(recipe_); }
  /// The loss file's hash.
  nlohmann::ordered_json bound() const override;
  std::map<std::string, std::string> metadata() const override;
  PictureGraph graph(int batch, int image_size, Tensor resident) const override;
  void freeze(Graph&) const override;
  std::string replaced_layer() const override;
  std::string weights_name() const override { return "the weights of a " + recipe_.net; }
  std::vector<Head> heads(int image_size) const override;
  std::vector<std::string> validation_columns() const override;
  std::unique_ptr<Judge> judge(const Dataset&) const override;

 private:
  Recipe recipe_;
};

}  // namespace telltale
