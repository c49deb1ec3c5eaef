#pragma once
// JPEG and PNG in and out. Nothing here trusts a file: every refusal is a DataError of one line that names the file,
// the reason and what to do.
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "data/image.h"

namespace telltale {

/// Larger images are refused before anything is allocated for them (Pillow's limit).
inline constexpr int64_t kMaxPixels = 178'956'970;

/// Reads a JPEG or PNG as 8-bit RGB, told apart by content, never by name. JPEG: grey, CMYK and YCCK are converted and
/// the EXIF orientation is applied. PNG: 16 bits are reduced to 8, palettes expanded, transparency laid on white.
/// DataError when missing, empty, truncated, corrupt, neither JPEG nor PNG, or above kMaxPixels.
Image read_image(const std::string& path);
/// The same from memory; `name` stands for the path in messages.
Image decode_image(std::span<const uint8_t> bytes, const std::string& name);
/// Reads a mask: a JPEG or PNG whose three channels' mean is the grey value.
Grey read_grey(const std::string& path);

/// Baseline JPEG, 4:2:0, quality in 1…100 (else UsageError).
std::vector<uint8_t> encode_jpeg(const Image& image, int quality);
/// These write whole files or none (see base/atomic_file.h).
void write_jpeg(const std::string& path, const Image& image, int quality);
void write_png(const std::string& path, const Image& image);
void write_png(const std::string& path, const Grey& image);

/// The bytes of a regular file; DataError when missing, unreadable or a folder.
std::vector<uint8_t> read_file(const std::string& path);

}  // namespace telltale
