#include "tools/train/inpaint_validation.h"

#include <algorithm>

#include "data/codec.h"
#include "data/compose.h"
#include "data/draw.h"
#include "kernels/cast.h"
#include "kernels/core/host_values.h"
#include "kernels/moving_average.h"

namespace telltale {
namespace {

constexpr size_t kSheetRows = 8;

void paste(const Image& from, Image& to, int x, int y) {
  for (int row = 0; row < from.height; ++row) {
    std::copy_n(from.at(0, row), size_t(from.width) * 3, to.at(x, y + row));
  }
}

Image masked(const Image& photo, const Grey& mask) {
  Image image = photo;
  for (size_t i = 0; i < mask.pixels.size(); ++i) {
    if (mask.pixels[i] >= 128) std::fill_n(image.rgb.begin() + ptrdiff_t(i * 3), 3, uint8_t(255));
  }
  return image;
}

}  // namespace

InpaintValidation::InpaintValidation(Stream& stream, const InpaintRecipe& r, const std::vector<Photo>& photos,
                                     uint64_t seed)
    : stream_(&stream), size_(r.size) {
  const size_t count = std::min(photos.size(), size_t(r.validation_photos));
  batch_ = int(std::min(count, size_t(r.batch)));
  for (size_t i = 0; i < count; ++i) {
    photos_.push_back(centre_square(read_image(photos[i].path), size_));
    masks_.push_back(draw_mask(mask_law(r.mask_law), size_, size_, seed, cat("validation ", photos[i].id),
                               {r.mask_area_min, r.mask_area_max}));
  }
  painted_.resize(count);
  Graph g;
  image_ = g.input({batch_, size_, size_, 3});
  mask_ = g.input({batch_, size_, size_, 1});
  net_ = deepfill_v2(g, image_, mask_, r.width);
  average_ = std::make_unique<Program>(g, stream, Options{});
}

void InpaintValidation::copy_from(const Program& generator) {
  average_->params().copy_from(*stream_, generator.params());
  average_->params_changed();
}

void InpaintValidation::follow(const Program& generator, int64_t step, double decay) {
  const double early = double(1 + step) / double(10 + step);  // else the first weights would stay in it for long
  for (const Param& p : average_->params().all()) {
    moving_average(*stream_, generator.params().find(p.spec.names[0])->value, p.value, std::min(decay, early));
  }
  average_->params_changed();
}

void InpaintValidation::paint(size_t first, size_t count) {
  const size_t pixels = size_t(size_) * size_t(size_), n = size_t(batch_);
  std::vector<float> images(n * pixels * 3), masks(n * pixels);
  for (size_t i = 0; i < count; ++i) {
    write_sample(photos_[first + i], masks_[first + i], images.data() + i * pixels * 3, masks.data() + i * pixels);
  }
  Stream& s = *stream_;
  upload(s, average_->tensor(image_), images.data());
  upload(s, average_->tensor(mask_), masks.data());
  average_->forward();
  for (const Value output : {net_.coarse, net_.refined}) {
    download(s, images.data(), average_->tensor(output));
    for (size_t i = 0; i < count; ++i) {
      Painted& p = painted_[first + i];
      (output.id == net_.coarse.id ? p.coarse : p.refined) =
          compose(photos_[first + i], {images.data() + i * pixels * 3, pixels * 3}, masks_[first + i]);
    }
  }
}

PaintQuality InpaintValidation::evaluate() {
  PaintQuality sum;
  const size_t count = photos_.size();
  for (size_t i = 0; i < count; i += size_t(batch_)) paint(i, std::min(size_t(batch_), count - i));
  double paint_contrast = 0, photo_contrast = 0;
  for (size_t i = 0; i < count; ++i) {
    const HoleQuality q = hole_quality(photos_[i], painted_[i].refined, masks_[i]);
    const double share = 1.0 / double(count);
    sum.painted.psnr += share * q.psnr;
    sum.painted.ssim += share * q.ssim;
    sum.painted.l1 += share * q.l1;
    sum.mean_fill_psnr += share * hole_quality(photos_[i], mean_colour_fill(photos_[i], masks_[i]), masks_[i]).psnr;
    paint_contrast += hole_contrast(painted_[i].refined, masks_[i]);
    photo_contrast += hole_contrast(photos_[i], masks_[i]);
  }
  sum.contrast = photo_contrast > 0 ? paint_contrast / photo_contrast : 1;
  return sum;
}

void InpaintValidation::write_sheet(const std::string& path, const std::string& caption) const {
  constexpr int kGap = 4, kHead = 22;
  constexpr const char* kTitles[] = {"original", "masked", "coarse", "refined"};
  const int rows = int(std::min(kSheetRows, photos_.size())), pitch = size_ + kGap;
  Image sheet(4 * pitch + kGap, kHead + rows * pitch);
  std::fill(sheet.rgb.begin(), sheet.rgb.end(), uint8_t(255));
  constexpr Colour kInk{40, 40, 40}, kPaper{255, 255, 255};
  for (int k = 0; k < 4; ++k) draw_text(sheet, kGap + k * pitch, 2, kTitles[k], kInk, kPaper, 1);
  draw_text(sheet, kGap, 12, caption, kInk, kPaper, 1);
  for (int r = 0; r < rows; ++r) {
    const size_t i = size_t(r);
    const Image hole = masked(photos_[i], masks_[i]);
    const Image* const cells[] = {&photos_[i], &hole, &painted_[i].coarse, &painted_[i].refined};
    for (int k = 0; k < 4; ++k) paste(*cells[k], sheet, kGap + k * pitch, kHead + r * pitch);
  }
  write_png(path, sheet);
}

}  // namespace telltale
