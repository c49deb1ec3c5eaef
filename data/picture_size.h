#pragma once
// How large a picture will be, before anything is allocated for it.
#include <cstdint>
#include <span>
#include <string>

namespace telltale {

struct PictureSize {
  int64_t width = 0, height = 0;
};
/// What the header of a JPEG, PNG, WebP, GIF or BMP says, as it is stored (not turned upright). DataError "name: …"
/// when it is another kind of file or ends before that.
PictureSize picture_size(std::span<const uint8_t> bytes, const std::string& name);

}  // namespace telltale
