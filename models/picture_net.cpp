#include "models/picture_net.h"

#include <algorithm>

namespace telltale {
namespace {

/// Stored numbers, widened or rounded.
std::vector<float> to_f32(const void* stored, DType type, int64_t count) {
  std::vector<float> values(static_cast<size_t>(count));
  visit_float(type, [&](auto tag) {
    using T = typename decltype(tag)::type;
    const T* first = static_cast<const T*>(stored);
    std::transform(first, first + count, values.begin(), [](T v) { return float(load(v)); });
  });
  return values;
}

}  // namespace

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

const uint8_t* PictureNet::whole_batch(std::span<const uint8_t> pixels, int count) {
  const size_t each = staging_.size() / size_t(batch_);
  TT_CHECK(count >= 1 && count <= batch_ && pixels.size() == each * size_t(count), ShapeError, "the net takes 1 to ",
           batch_, " images of ", each, " bytes, got ", count, " in ", pixels.size());
  if (count == batch_) return pixels.data();
  std::copy(pixels.begin(), pixels.end(), staging_.begin());
  return staging_.data();
}

void PictureNet::forward() {
  program_->make_ready();
  forward_->run([this] { program_->forward(); });
}

void PictureNet::run(std::span<const uint8_t> pixels, int count) {
  upload(program_->stream(), program_->tensor(net_.pixels), whole_batch(pixels, count));
  forward();
}

std::vector<float> PictureNet::said(size_t head) {
  return download_f32(program_->stream(), program_->tensor(net_.heads[head]));
}

PictureNet::Answer PictureNet::enqueue(std::span<const uint8_t> pixels, int count) {
  Stream& stream = program_->stream();
  const uint8_t* batch = whole_batch(pixels, count);
  if (!upload_) {
    upload_.emplace(stream, staging_.size());
    for (const Value head : net_.heads) downloads_.emplace_back(stream, program_->tensor(head).bytes());
  }
  upload_->send(program_->tensor(net_.pixels), batch);
  forward();
  size_t number = 0;  // the same of all heads
  for (size_t k = 0; k < downloads_.size(); ++k) number = downloads_[k].request(program_->tensor(net_.heads[k]));
  return [this, number] {
    std::vector<std::vector<float>> said;
    for (size_t k = 0; k < downloads_.size(); ++k) {
      const Tensor head = program_->tensor(net_.heads[k]);
      said.push_back(to_f32(downloads_[k].take(number), head.dtype, head.shape.numel()));
    }
    return said;
  };
}

std::vector<float> download_f32(Stream& s, Tensor t) {
  std::vector<char> stored(t.bytes());
  download(s, stored.data(), t);
  return to_f32(stored.data(), t.dtype, t.shape.numel());
}

}  // namespace telltale
