#pragma once
// The photographs of a folder.
#include <string>
#include <vector>

#include "data/image.h"

namespace telltale {

struct Photo {
  std::string id, path;
};

/// What a folder and its subfolders hold.
struct PhotoFiles {
  std::vector<std::string> paths;  ///< in path order; a broken link is among them, and fails when it is read
  Remarks unreadable;              ///< folders that could not be listed, one line each
  Remarks remarks;                 ///< what was passed over: links to folders, pictures of kinds that are not read
};
/// Every .jpg .jpeg .jpe .jfif .png .webp .bmp .gif .pnm .ppm .pgm .tga, in any case, under `folder` and its
/// subfolders. Hidden files and folders, and whatever lies in `passed_over` (files or folders: a program's own output),
/// are no part of it; links to folders are not followed. DataError when the folder itself is missing or unreadable.
PhotoFiles find_photos(const std::string& folder, const std::vector<std::string>& passed_over = {});

/// A file name's stem, fit to name files after: of `Places365_val_00000001.jpg` the digits, `00000001`; of a name of
/// more than 200 bytes, or with a backslash or control characters, a shortened one that ends in a hash of it.
std::string photo_id(const std::string& path);
/// Each path with its id. Where several photographs of `folder` have the same stem, theirs get the subfolders in front
/// (cat/1.png: `cat_1`), and where that is not enough the ending behind. DataError when two still share one.
std::vector<Photo> with_ids(const std::string& folder, const std::vector<std::string>& paths);

/// find_photos and with_ids in one; what could not be listed or was passed over is said in `remarks`. DataError when
/// there are none.
std::vector<Photo> list_photos(const std::string& folder, const std::vector<std::string>& passed_over = {},
                               Remarks* remarks = nullptr);

}  // namespace telltale
