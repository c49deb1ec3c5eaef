#include "data/gif.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "data/codec.h"

namespace telltale {

namespace {

using Bytes = std::span<const uint8_t>;
using Palette = std::vector<std::array<uint8_t, 3>>;

struct Truncated {};

/// Reads on, or throws Truncated.
class Reader {
 public:
  explicit Reader(Bytes bytes) : left_(bytes) {}
  Bytes take(size_t count) {
    if (count > left_.size()) throw Truncated();
    const Bytes taken = left_.first(count);
    left_ = left_.subspan(count);
    return taken;
  }
  int byte() { return take(1)[0]; }
  int number() {
    const int low = byte();
    return low | byte() << 8;
  }
  Palette palette(int flags) {
    if ((flags & 0x80) == 0) return {};
    Palette colours(size_t(2) << (flags & 7));
    for (auto& colour : colours) std::copy_n(take(3).begin(), 3, colour.begin());
    return colours;
  }
  /// Blocks of a length and so many bytes up to one of none, put together.
  std::vector<uint8_t> blocks() {
    std::vector<uint8_t> all;
    for (int length = byte(); length != 0; length = byte()) {
      const Bytes block = take(size_t(length));
      all.insert(all.end(), block.begin(), block.end());
    }
    return all;
  }
  bool ends() const { return left_.empty(); }

 private:
  Bytes left_;
};

/// GIF's LZW: codes of a growing width, each a known string of indices, or the last string and its own first index.
/// Throws Truncated when there are fewer than `pixels`, DataError for a code that cannot be.
std::vector<uint8_t> unpack(Bytes packed, int bits, size_t pixels) {
  constexpr int kMostCodes = 4096;
  struct String {
    int before;  ///< the string without its last index
    uint8_t first, last;
  };
  const int clear = 1 << bits, end = clear + 1;
  std::vector<String> strings(kMostCodes);
  for (int i = 0; i < clear; ++i) strings[size_t(i)] = {-1, uint8_t(i), uint8_t(i)};
  int known = end + 1, width = bits + 1, before = -1;
  std::vector<uint8_t> indices, reversed;
  indices.reserve(pixels);
  uint32_t window = 0;
  int filled = 0;
  for (size_t at = 0; indices.size() < pixels;) {
    for (; filled < width; filled += 8) {
      if (at == packed.size()) throw Truncated();
      window |= uint32_t(packed[at++]) << filled;
    }
    const int code = int(window & ((1u << width) - 1));
    window >>= width;
    filled -= width;
    if (code == clear) {
      known = end + 1, width = bits + 1, before = -1;
      continue;
    }
    if (code == end) throw Truncated();
    TT_CHECK(before < 0 ? code < clear : code <= known, DataError, "a code that cannot be");
    if (before >= 0 && known < kMostCodes) {
      const uint8_t last = strings[size_t(code == known ? before : code)].first;
      strings[size_t(known++)] = {before, strings[size_t(before)].first, last};
      if (known == 1 << width && width < 12) ++width;
    }
    TT_CHECK(code < known, DataError, "a code that cannot be");
    reversed.clear();
    for (int s = code; s >= 0; s = strings[size_t(s)].before) reversed.push_back(strings[size_t(s)].last);
    indices.insert(indices.end(), reversed.rbegin(), reversed.rend());
    before = code;
  }
  indices.resize(pixels);
  return indices;
}

/// The row of the picture that comes `y`-th: an interlaced one comes in four passes.
std::vector<int> row_order(int height, bool interlaced) {
  std::vector<int> rows;
  constexpr std::array<std::array<int, 2>, 4> kPasses{{{0, 8}, {4, 8}, {2, 4}, {1, 2}}};
  if (interlaced)
    for (const auto& [first, step] : kPasses)
      for (int y = first; y < height; y += step) rows.push_back(y);
  else
    for (int y = 0; y < height; ++y) rows.push_back(y);
  return rows;
}

Image decode(Reader& r, const std::string& name) {
  r.take(6);
  const int width = r.number(), height = r.number(), screen_flags = r.byte();
  r.take(2);  // the background's colour, which browsers do not show, and the pixels' aspect
  TT_CHECK(int64_t(width) * height <= kMaxPixels, DataError, name, ": ", width, "x", height, " is more than ",
           kMaxPixels, " pixels; shrink the image first");
  Palette palette = r.palette(screen_flags);
  int transparent = -1;
  for (;;) {
    constexpr int kExtension = 0x21, kPicture = 0x2c, kControl = 0xf9;
    const int block = r.byte();
    if (block == kPicture) break;
    TT_CHECK(block == kExtension, DataError, "no picture in it");
    const bool control = r.byte() == kControl;
    const std::vector<uint8_t> content = r.blocks();
    if (control && content.size() == 4) transparent = content[0] & 1 ? content[3] : -1;
  }
  const int left = r.number(), top = r.number(), w = r.number(), h = r.number(), flags = r.byte();
  TT_CHECK(w > 0 && h > 0 && left + w <= width && top + h <= height, DataError, "a picture of ", w, "x", h, " at ",
           left, ",", top, " on a canvas of ", width, "x", height);
  if ((flags & 0x80) != 0) palette = r.palette(flags);
  TT_CHECK(!palette.empty(), DataError, "no palette");
  const int bits = r.byte();
  TT_CHECK(bits >= 1 && bits <= 8, DataError, "indices of ", bits, " bits");
  const std::vector<uint8_t> indices = unpack(r.blocks(), bits, size_t(w) * size_t(h));

  Image image(width, height);
  std::fill(image.rgb.begin(), image.rgb.end(), uint8_t(255));
  const uint8_t* index = indices.data();
  for (const int y : row_order(h, (flags & 0x40) != 0))
    for (int x = 0; x < w; ++x, ++index) {
      if (*index == transparent) continue;
      TT_CHECK(*index < palette.size(), DataError, "it uses colour ", int(*index), " of a palette of ", palette.size());
      std::copy_n(palette[*index].begin(), 3, image.at(left + x, top + y));
    }
  return image;
}

}  // namespace

bool is_gif(Bytes bytes) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  return text.starts_with("GIF87a") || text.starts_with("GIF89a");
}

Image decode_gif(Bytes bytes, const std::string& name, Remarks* remarks) try {
  Reader r(bytes);
  Image image = decode(r, name);
  constexpr int kTrailer = 0x3b;
  if (remarks && !r.ends() && r.byte() != kTrailer)
    remarks->push_back(cat(name, ": of an animation its first picture is read"));
  return image;
} catch (const Truncated&) {
  throw DataError(cat(name, ": truncated GIF; copy the file again or remove it"));
} catch (const DataError& e) {
  const std::string said = e.what();
  if (said.starts_with(name + ": ")) throw;
  throw DataError(cat(name, ": a GIF that is not read (", said, "); convert it to JPEG or PNG"));
}

}  // namespace telltale
