#pragma once
// A folder of pictures that infer draws: what it may hold, and what it must not cost.
#include <set>
#include <string>
#include <vector>

namespace telltale {

/// Of JPEGs for people.
inline constexpr int kAnnotatedQuality = 92;

/// Names pictures after the files they show, STEM.jpg or STEM.png, numbered from the second on where several folders
/// have one. `.annotated` in the folder lists what was written there, so that a later run may replace that and nothing
/// else.
class PictureFolder {
 public:
  /// Makes the folder that `option` names; `ending` is of every picture's name. UsageError when it is one of the
  /// folders looked at, or when it holds a file that this program did not write under a name that a picture of `paths`
  /// would take.
  PictureFolder(std::string option, const std::string& folder, std::string ending,
                const std::vector<std::string>& arguments, const std::vector<std::string>& paths);
  /// Where the picture of one of `paths` is to be written; each of them may be asked for once.
  std::string place(const std::string& path);

 private:
  std::string name_of_copy(const std::string& stem, int copy) const;
  std::string list_path() const { return folder_ + "/.annotated"; }
  void note(const std::string& name);
  std::string option_, folder_, ending_;
  std::set<std::string> ours_, taken_;  ///< names written ever; names given out in this run
  bool torn_ = false;                   ///< whether the list's last line may lack its end
};

}  // namespace telltale
