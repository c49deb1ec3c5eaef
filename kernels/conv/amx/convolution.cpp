#include "kernels/conv/amx/convolution.h"

#include <algorithm>
#include <cstring>

#include "kernels/conv/amx/sweep.h"
#include "kernels/device/fast_bf16.h"

namespace telltale::amx {
namespace {

Choice& choice() {
  static Choice chosen = Choice::hardware;
  return chosen;
}

Sweep forward_sweep(const ConvArgs& a) {
  const Shape y = conv_output(a.x.shape, a.w.shape, a.geometry);
  Sweep s;
  s.source = a.x.as<Bits>();
  s.from = a.x.shape;
  s.rows = a.w.shape.h;
  s.columns = a.w.shape.w;
  s.stride = a.geometry.stride;
  s.dilation = a.geometry.dilation;
  s.top = s.left = a.geometry.pad;
  s.out_h = y.h;
  s.out_w = y.w;
  s.channels = y.c;
  s.result = a.y.as<Bits>();
  s.pixel_step = y.c;
  s.row_step = int64_t(y.w) * y.c;
  s.image_step = y.h * s.row_step;
  s.residual = a.residual.as<Bits>();
  s.bias = a.bias.as<float>();
  s.act = a.act;
  return s;
}

/// The pixels of dx that lie `stride` apart, from `first` on, along one side: their filter taps, and where they read
/// dy.
struct Phase {
  int first, count;  ///< pixels of dx
  int tap, taps;     ///< first tap, and how many a stride apart
  int before;        ///< dy's pixels before the first one that the first result reads are zeros

  Phase(int phase, int size, int taps_in_all, const ConvGeometry& g)
      : tap(phase), taps(taps_in_all > phase ? (taps_in_all - phase + g.stride - 1) / g.stride : 0) {
    const int skipped = std::max(0, (g.pad - phase + g.stride - 1) / g.stride);
    first = skipped * g.stride + phase - g.pad;
    count = first < size ? (size - first + g.stride - 1) / g.stride : 0;
    before = (taps - 1) * g.dilation - skipped;
  }
};

struct GradientPart {
  Sweep sweep;
  FilterSource filter;
};

/// dx as sweeps over dy, one for each phase of the stride; phases without a tap are left out.
std::vector<GradientPart> gradient_parts(const ConvGradArgs& a) {
  const Shape &x = a.x.shape, &w = a.w.shape;
  const int stride = a.geometry.stride;
  std::vector<GradientPart> parts;
  for (int i = 0; i < stride; ++i) {
    for (int j = 0; j < stride; ++j) {
      const Phase down(i, x.h, w.h, a.geometry), across(j, x.w, w.w, a.geometry);
      if (down.taps == 0 || across.taps == 0 || down.count == 0 || across.count == 0) continue;
      Sweep s;
      s.source = a.dy.as<Bits>();
      s.from = a.dy.shape;
      s.rows = down.taps;
      s.columns = across.taps;
      s.dilation = a.geometry.dilation;
      s.top = down.before;
      s.left = across.before;
      s.out_h = down.count;
      s.out_w = across.count;
      s.channels = x.c;
      const int64_t row = int64_t(x.w) * x.c;
      s.result = a.dx.as<Bits>() + down.first * row + int64_t(across.first) * x.c;
      s.pixel_step = int64_t(stride) * x.c;
      s.row_step = stride * row;
      s.image_step = x.h * row;
      if (a.dx_mode == GradMode::accumulate) s.residual = s.result;
      parts.push_back({s, {a.w.as<Bits>(), w, true, down.tap, across.tap, stride}});
    }
  }
  return parts;
}

}  // namespace

const Loops& loops() { return choice() == Choice::plain_code ? *in_plain_code() : *by_hardware(); }

bool fits(DType t) {
  if (t != DType::bf16) return false;
  return choice() == Choice::plain_code || (has_fast_bf16() && has_hardware());
}
bool fits_input_gradient(DType t, const ConvGeometry& g) { return fits(t) && (g.stride == 1 || g.dilation == 1); }
void choose_loops(Choice wanted) { choice() = wanted; }
bool has_hardware() { return by_hardware() != nullptr; }

size_t packed_bytes(const ConvArgs& a) { return forward_sweep(a).filter_bytes(); }
void pack(Stream& s, const ConvArgs& a, Tensor packed) {
  pack_filter(forward_sweep(a), loops(), {a.w.as<Bits>(), a.w.shape}, packed.as<Bits>(), s.threads());
}

namespace {
void forward(Stream& s, const ConvArgs& a, const Sweep& sweep) {
  const size_t filter_bytes = a.packed ? 0 : sweep.filter_bytes();
  char* room = s.workspace(filter_bytes + scratch_bytes(sweep, s.threads())).as<char>();
  Bits* filter = a.packed ? a.packed.as<Bits>() : reinterpret_cast<Bits*>(room);
  if (!a.packed) pack_filter(sweep, loops(), {a.w.as<Bits>(), a.w.shape}, filter, s.threads());
  run(sweep, loops(), filter, room + filter_bytes, s.threads());
}
}  // namespace

void forward(Stream& s, const ConvArgs& a) { forward(s, a, forward_sweep(a)); }

bool fits_gated(const ConvArgs& a, Act act) {
  return act == Act::elu && a.w.shape.n % kBlock == 0 && a.x.shape.numel() > 0 && fits(a.x.dtype);
}

void gated_forward(Stream& s, const ConvArgs& a, Tensor y) {
  Sweep sweep = forward_sweep(a);
  sweep.gated = true;
  sweep.result = y.as<Bits>();
  sweep.pixel_step /= 2;
  sweep.row_step /= 2;
  sweep.image_step /= 2;
  forward(s, a, sweep);
}

void input_gradient(Stream& s, const ConvGradArgs& a) {
  const std::vector<GradientPart> parts = gradient_parts(a);
  size_t filter_bytes = 0, scratch = 0;
  for (const GradientPart& p : parts) {
    filter_bytes = std::max(filter_bytes, p.sweep.filter_bytes());
    scratch = std::max(scratch, scratch_bytes(p.sweep, s.threads()));
  }
  char* room = s.workspace(filter_bytes + scratch).as<char>();
  Bits* filter = reinterpret_cast<Bits*>(room);
  const size_t all = size_t(a.geometry.stride) * size_t(a.geometry.stride);
  if (parts.size() < all && a.dx_mode == GradMode::overwrite) memset(a.dx.data, 0, a.dx.bytes());
  for (const GradientPart& p : parts) {
    pack_filter(p.sweep, loops(), p.filter, filter, s.threads());
    run(p.sweep, loops(), filter, room + filter_bytes, s.threads());
  }
}

}  // namespace telltale::amx
