#include "models/inpainter/validation.h"

#include <algorithm>
#include <utility>

#include "data/codec.h"
#include "data/compose.h"
#include "kernels/cast.h"
#include "kernels/device/host_values.h"
#include "kernels/moving_average.h"
#include "models/sheet.h"

namespace telltale {
namespace {

constexpr size_t kSheetRows = 8;

}  // namespace

InpaintValidation::InpaintValidation(Stream& stream, const InpaintRecipe& r, std::vector<HeldOut> photos, uint64_t seed)
    : stream_(&stream), size_(r.size), black_(generator_net(r.family).black), photos_(std::move(photos)) {
  for (const HeldOut& photo : photos_) {
    masks_.push_back(draw_mask(mask_law(r.mask_law), size_, size_, seed, cat("validation ", photo.id),
                               {r.mask_area_min, r.mask_area_max}));
  }
  const size_t count = photos_.size();
  batch_ = int(std::min(count, size_t(r.batch)));
  painted_.resize(count);
  Graph g;
  image_ = g.input({batch_, size_, size_, 3});
  mask_ = g.input({batch_, size_, size_, 1});
  net_ = generator_net(r.family).build(g, image_, mask_, r.width);
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
    write_sample(photos_[first + i].picture, masks_[first + i], black_, images.data() + i * pixels * 3,
                 masks.data() + i * pixels);
  }
  Stream& s = *stream_;
  upload(s, average_->tensor(image_), images.data());
  upload(s, average_->tensor(mask_), masks.data());
  average_->forward();
  for (const Value output : {net_.coarse, net_.refined}) {
    download(s, images.data(), average_->tensor(output));
    for (float& v : images) v = (v - black_) / (1 - black_);
    for (size_t i = 0; i < count; ++i) {
      Painted& p = painted_[first + i];
      (output.id == net_.coarse.id ? p.coarse : p.refined) =
          compose(photos_[first + i].picture, {images.data() + i * pixels * 3, pixels * 3}, masks_[first + i]);
    }
  }
}

PaintQuality InpaintValidation::evaluate() {
  PaintQuality sum;
  const size_t count = photos_.size();
  for (size_t i = 0; i < count; i += size_t(batch_)) paint(i, std::min(size_t(batch_), count - i));
  double paint_contrast = 0, photo_contrast = 0;
  for (size_t i = 0; i < count; ++i) {
    const HoleQuality q = hole_quality(photos_[i].picture, painted_[i].refined, masks_[i]);
    const double share = 1.0 / double(count);
    sum.painted.psnr += share * q.psnr;
    sum.painted.ssim += share * q.ssim;
    sum.painted.l1 += share * q.l1;
    sum.mean_fill_psnr +=
        share * hole_quality(photos_[i].picture, mean_colour_fill(photos_[i].picture, masks_[i]), masks_[i]).psnr;
    paint_contrast += hole_contrast(painted_[i].refined, masks_[i]);
    photo_contrast += hole_contrast(photos_[i].picture, masks_[i]);
  }
  sum.contrast = photo_contrast > 0 ? paint_contrast / photo_contrast : 1;
  return sum;
}

void InpaintValidation::write_sheet(const std::string& path, const std::string& caption) const {
  std::vector<std::vector<Image>> rows;
  for (size_t i = 0; i < std::min(kSheetRows, photos_.size()); ++i) {
    rows.push_back(
        {photos_[i].picture, with_hole(photos_[i].picture, masks_[i]), painted_[i].coarse, painted_[i].refined});
  }
  write_png(path, contact_sheet({"original", "masked", "coarse", "refined"}, rows, caption));
}

}  // namespace telltale
