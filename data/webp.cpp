#include "data/webp.h"

#include <webp/decode.h>
#include <webp/demux.h>

#include <cstring>
#include <memory>
#include <new>

#include "base/check.h"
#include "data/codec.h"
#include "data/exif.h"
#include "data/white.h"

namespace telltale {

namespace {

struct DeleteDemuxer {
  void operator()(WebPDemuxer* d) const { WebPDemuxDelete(d); }
};
struct DeleteAnimation {
  void operator()(WebPAnimDecoder* d) const { WebPAnimDecoderDelete(d); }
};

std::span<const uint8_t> chunk(const WebPDemuxer* demuxer, const char* name) {
  WebPChunkIterator it{};
  std::span<const uint8_t> bytes;
  if (WebPDemuxGetChunk(demuxer, name, 1, &it) != 0) bytes = {it.chunk.bytes, it.chunk.size};
  WebPDemuxReleaseChunkIterator(&it);
  return bytes;
}

int stored_orientation(const WebPDemuxer* demuxer) {
  const auto xmp = chunk(demuxer, "XMP ");
  return orientation_of(chunk(demuxer, "EXIF"), {reinterpret_cast<const char*>(xmp.data()), xmp.size()});
}

}  // namespace

bool is_webp(std::span<const uint8_t> bytes) {
  return bytes.size() >= 12 && std::memcmp(bytes.data(), "RIFF", 4) == 0 &&
         std::memcmp(bytes.data() + 8, "WEBP", 4) == 0;
}

Image decode_webp(std::span<const uint8_t> bytes, const std::string& name, Remarks* remarks) {
  const auto fail = [&](VP8StatusCode code) {
    if (code == VP8_STATUS_OUT_OF_MEMORY) throw std::bad_alloc();
    const bool truncated = code == VP8_STATUS_NOT_ENOUGH_DATA || code == VP8_STATUS_SUSPENDED;
    throw DataError(cat(name, ": ", truncated ? "truncated" : "damaged", " WebP; copy the file again or remove it"));
  };
  WebPBitstreamFeatures features;
  if (const VP8StatusCode code = WebPGetFeatures(bytes.data(), bytes.size(), &features); code != VP8_STATUS_OK)
    fail(code);
  // 14 bits a side: at most 268 megapixels.
  const int64_t width = features.width, height = features.height;
  TT_CHECK(width * height <= kMaxPixels, DataError, name, ": ", width, "x", height, " is more than ", kMaxPixels,
           " pixels; shrink the image first");
  const WebPData data{bytes.data(), bytes.size()};
  const std::unique_ptr<WebPDemuxer, DeleteDemuxer> demuxer(WebPDemux(&data));
  if (!demuxer) fail(VP8_STATUS_NOT_ENOUGH_DATA);

  Image image{int(width), int(height)};
  if (features.has_animation) {
    WebPAnimDecoderOptions options;
    WebPAnimDecoderOptionsInit(&options);
    options.color_mode = MODE_RGBA;
    const std::unique_ptr<WebPAnimDecoder, DeleteAnimation> animation(WebPAnimDecoderNew(&data, &options));
    uint8_t* rgba = nullptr;
    int time = 0;
    if (!animation || WebPAnimDecoderGetNext(animation.get(), &rgba, &time) == 0) fail(VP8_STATUS_BITSTREAM_ERROR);
    lay_on_white(rgba, size_t(width * height), image.rgb.data());
    if (remarks) remarks->push_back(cat(name, ": an animation; its first picture is read"));
  } else {
    WebPDecoderConfig config;
    WebPInitDecoderConfig(&config);
    std::vector<uint8_t> rgba(features.has_alpha ? size_t(4 * width * height) : 0);
    config.output.colorspace = features.has_alpha ? MODE_RGBA : MODE_RGB;
    config.output.is_external_memory = 1;
    config.output.u.RGBA = {.rgba = features.has_alpha ? rgba.data() : image.rgb.data(),
                            .stride = int(width) * (features.has_alpha ? 4 : 3),
                            .size = features.has_alpha ? rgba.size() : image.rgb.size()};
    if (const VP8StatusCode code = WebPDecode(bytes.data(), bytes.size(), &config); code != VP8_STATUS_OK) fail(code);
    if (features.has_alpha) lay_on_white(rgba.data(), size_t(width * height), image.rgb.data());
  }
  return upright(std::move(image), stored_orientation(demuxer.get()));
}

}  // namespace telltale
