#pragma once
// A dataset folder: images/<id>.jpg|png, masks/<id>.png, labels.csv, dataset.json.
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "data/labels.h"

namespace telltale {

/// dataset.json: how the folder was made.
struct DatasetInfo {
  int size = 256;  ///< every image is size × size
  uint64_t seed = 0;
  std::string mask_law = "paper";
  std::string negatives = "placebo";      ///< placebo or raw
  std::string inpainter;                  ///< family of the network that painted
  std::string weights_sha256;             ///< of its weights file
  std::string codec = "jpeg";             ///< jpeg or png: the ending of the images' names follows from it
  int quality = 95;                       ///< of the JPEGs; 0 for png
  int64_t images = 0, fakes = 0;          ///< rows in labels.csv
  std::vector<std::string> skipped = {};  ///< photographs that could not be used: path and reason, one line each
  /// Options of `synth` beyond a single generator's: painters, blends, JPEG past. Left out of the file when empty.
  std::map<std::string, std::string> treatment = {};
  bool operator==(const DatasetInfo&) const = default;
};

/// Writes DIR/dataset.json, whole or not at all. Written last, it says that the folder is complete.
void write_dataset_info(const std::string& dir, const DatasetInfo& info);
/// Reads DIR/dataset.json; DataError names the file and the missing or wrong field.
DatasetInfo read_dataset_info(const std::string& dir);

/// The folder, read and checked: labels.csv against dataset.json, and every row's image must exist.
class Dataset {
 public:
  /// DataError with the reason when anything is missing or inconsistent.
  static Dataset open(const std::string& dir);
  /// The first folder whole; of the others, whose images must be of its size, the training rows alone, behind its own.
  /// Their ids become FOLDER/ID, FOLDER being 2, 3, …, so that one photograph may be in several. DataError as above.
  static Dataset open(const std::vector<std::string>& dirs);

  /// The same without the fakes of these painters, or with no others; the reals stay. A name means its painter, and
  /// before a colon a group: deepfill is deepfill:a and deepfill:b. labels_sha256() names the choice, too. UsageError
  /// where a name is nobody's here.
  Dataset without_painters(const std::vector<std::string>& names) const { return chosen(names, false); }
  Dataset only_painters(const std::vector<std::string>& names) const { return chosen(names, true); }

  const DatasetInfo& info() const { return info_; }
  const std::string& dir() const { return dir_; }
  const std::vector<Label>& labels() const { return labels_; }
  /// Indices into labels() of one split, in file order; DataError when it has none.
  std::vector<int> rows(Split split) const { return rows(std::vector{split}); }
  /// The same of several splits, one behind the other; DataError when they all have none.
  std::vector<int> rows(const std::vector<Split>& splits) const;
  std::string image_path(int row) const { return image_paths_[row]; }
  /// The mask's path; only fakes have the file.
  std::string mask_path(int row) const { return mask_paths_[row]; }
  /// SHA-256 of labels.csv, of several folders of their hashes: names the dataset in results.
  const std::string& labels_sha256() const { return labels_sha256_; }

 private:
  Dataset chosen(const std::vector<std::string>& painters, bool keep) const;

  std::string dir_, labels_sha256_;
  DatasetInfo info_;
  std::vector<Label> labels_;
  std::vector<std::string> image_paths_, mask_paths_;
};

}  // namespace telltale
