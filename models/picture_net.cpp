#include "models/picture_net.h"

#include <algorithm>

namespace telltale {

Value add_pictures(PictureGraph& p, int batch, int image_size, const Preprocess::Settings& settings) {
  return add_pictures(p, {batch, image_size, image_size, 3}, settings);
}

Value add_pictures(PictureGraph& p, const Shape& pictures, const Preprocess::Settings& settings) {
  const Shape one_each{1, 1, 1, pictures.n};
  p.pixels = settings.images ? p.graph.input(one_each, DType::i32) : p.graph.input(pictures, DType::u8);
  p.flip = p.graph.input(one_each, DType::u8);
  return p.graph.add<Preprocess>("preprocess", {p.pixels, p.flip}, settings);
}

PictureNet::PictureNet(PictureGraph net, Stream& stream, const Options& options)
    : net_(std::move(net)),
      program_(std::make_unique<Program>(net_.graph, stream, options)),
      forward_(std::make_unique<Capture>(stream)) {
  const Tensor pixels = program_->tensor(net_.pixels);
  batch_ = pixels.shape.n;
  staging_.assign(pixels.bytes(), 0);
  fill_zero(stream, program_->tensor(net_.flip));
}

void PictureNet::run(std::span<const uint8_t> pixels, int count) {
  const size_t each = staging_.size() / size_t(batch_);
  TT_CHECK(count >= 1 && count <= batch_ && pixels.size() == each * size_t(count), ShapeError, "the net takes 1 to ",
           batch_, " images of ", each, " bytes, got ", count, " in ", pixels.size());
  std::copy(pixels.begin(), pixels.end(), staging_.begin());
  upload(program_->stream(), program_->tensor(net_.pixels), staging_.data());
  program_->make_ready();
  forward_->run([this] { program_->forward(); });
}

std::vector<float> PictureNet::said(size_t head) {
  return download_f32(program_->stream(), program_->tensor(net_.heads[head]));
}

std::vector<float> download_f32(Stream& s, Tensor t) {
  std::vector<float> values(size_t(t.shape.numel()));
  visit_float(t.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    std::vector<T> stored(values.size());
    download(s, stored.data(), t);
    std::transform(stored.begin(), stored.end(), values.begin(), [](T v) { return float(load(v)); });
  });
  return values;
}

}  // namespace telltale
