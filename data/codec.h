#pragma once
// Pictures in; JPEG and PNG out. Nothing here trusts a file: every refusal is a DataError of one line that names the
// file, the reason and what to do.
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "data/image.h"

namespace telltale {

/// Larger images are refused before anything is allocated for them (Pillow's limit).
inline constexpr int64_t kMaxPixels = 178'956'970;

/// Reads a JPEG, PNG, WebP, BMP, GIF (its first picture), binary 8-bit PNM or TGA as 8-bit RGB, told apart by content
/// (TGA, which has no mark, by its name too). The orientation that EXIF, or else XMP, gives is applied in JPEG, PNG and
/// WebP; grey, CMYK and YCCK are converted, 16 bits reduced to 8, palettes expanded, transparency laid on white. What
/// is odd and costs no pixel (a missing end marker, a phone's scan header) is read and said in `remarks`. DataError
/// when missing, no regular file, empty, truncated, corrupt, of another kind (named), or above kMaxPixels.
Image read_image(const std::string& path, Remarks* remarks = nullptr);
/// The same from memory; `name` stands for the path in messages.
Image decode_image(std::span<const uint8_t> bytes, const std::string& name, Remarks* remarks = nullptr);
/// Reads a mask: a picture whose three channels' mean is the grey value.
Grey read_grey(const std::string& path);

/// Baseline JPEG, 4:2:0, quality in 1…100 (else UsageError).
std::vector<uint8_t> encode_jpeg(const Image& image, int quality);
/// These write whole files or none (see base/atomic_file.h).
void write_jpeg(const std::string& path, const Image& image, int quality);
void write_png(const std::string& path, const Image& image);
void write_png(const std::string& path, const Grey& image);

/// The bytes of a regular file; DataError when missing, unreadable, a folder, a pipe or a device.
std::vector<uint8_t> read_file(const std::string& path);

}  // namespace telltale
