#pragma once
// The photographs of a folder.
#include <string>
#include <vector>

namespace telltale {

struct Photo {
  std::string id, path;
};

/// A file name's stem; of `Places365_val_00000001.jpg` the digits, `00000001`.
std::string photo_id(const std::string& path);

/// Every .jpg, .jpeg and .png (any case) under `folder` and its subfolders, in the order of their paths; hidden files
/// are passed over. DataError when the folder is missing or has none, or when two photographs share an id (both named).
std::vector<Photo> list_photos(const std::string& folder);

}  // namespace telltale
