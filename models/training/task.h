#pragma once
// What a net over a dataset is trained for: its graph, its heads with their losses and targets, what validation
// measures. The trainer, --check, --batch auto and the checkpoint know nothing else of it.
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "data/loader.h"
#include "engine/loss.h"
#include "models/picture_net.h"
#include "models/training/recipe.h"

namespace telltale {

/// A figure of a head: one column of its loss's terms, summed over samples.
struct Figure {
  /// loss: a part of what is minimised, which the loss divides by the step's samples (or positives) itself. count: of
  /// single samples; whoever tells it divides.
  enum class Kind : uint8_t { loss, count };
  const char* name;  ///< "box": column train_box (a loss val_box, too) of results.csv
  int term;          ///< which column
  Kind kind;
  bool of_positives = false;  ///< its mean is over the positives, not over all samples
};

/// An output that learns.
struct Head {
  Shape target;  ///< of one sample: n is 1
  std::function<void(const Truth&, float* to)> write;
  std::unique_ptr<const Loss> loss;
  std::vector<Figure> figures;
};

/// What a pass over the validation images found, besides its losses.
struct Findings {
  std::vector<double> columns;  ///< as Task::validation_columns names them
  std::string text;             ///< "F1 0.9, AUC 0.95"
};
/// Collects a net's outputs on the validation images.
class Judge {
 public:
  virtual ~Judge() = default;
  /// outputs[k]: what head k said of the batch's first `count` images, and behind them of no image.
  virtual void see(const Batch&, const std::vector<std::vector<float>>& outputs) = 0;
  virtual Findings findings() = 0;
};

class Task {
 public:
  virtual ~Task() = default;
  virtual const char* name() const = 0;  ///< --task
  virtual const TrainingRecipe& recipe() const = 0;
  virtual nlohmann::ordered_json recipe_json() const = 0;
  /// What config.json says besides, and a run is bound to: nothing, or files' hashes.
  virtual nlohmann::ordered_json bound() const { return nlohmann::ordered_json::object(); }
  /// Of the weights file: what whoever opens it must know, "kind" included.
  virtual std::map<std::string, std::string> metadata() const = 0;

  /// The net over images of image_size × image_size, or over resident ones: one head for each of heads().
  virtual PictureGraph graph(int batch, int image_size, Tensor resident) const = 0;
  /// Freezes what shall not train.
  virtual void freeze(Graph&) const {}
  /// The layer that starts anew where initial weights have another number of outputs; empty: none may.
  virtual std::string replaced_layer() const { return ""; }
  /// The layers that initial weights of another net may fill alone; empty: none may.
  virtual std::vector<std::string> encoder() const { return {}; }
  /// What initial weights ought to be: "the weights of a resnet18".
  virtual std::string weights_name() const = 0;
  /// For images of that size.
  virtual std::vector<Head> heads(int image_size) const = 0;

  /// Whether targets and judge need masks.
  virtual bool masks() const { return false; }
  /// Of training images of `stored` × `stored` pixels: to training_size(stored), which is the same without one.
  virtual Augment augmentation(int stored) const {
    (void)stored;
    return {};
  }
  virtual int training_size(int stored) const { return stored; }

  virtual std::vector<std::string> validation_columns() const = 0;
  virtual std::unique_ptr<Judge> judge(const Dataset&) const = 0;
  /// The epoch at which this is lowest is kept.
  virtual double cost(double validation_loss, const Findings&) const { return validation_loss; }
};

}  // namespace telltale
