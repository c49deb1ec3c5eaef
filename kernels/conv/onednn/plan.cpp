// Running plans, and keeping them.
#if TT_ONEDNN
#include "kernels/conv/onednn/plan.h"

#include <omp.h>

#include <cstring>

namespace telltale {
namespace {
using dnnl::memory;
constexpr size_t aligned(size_t bytes) { return (bytes + 63) / 64 * 64; }

void turn_taps(const ConvOperand::Turn& turn, const char* filter) {
#pragma omp parallel for if (turn.bytes() > (1 << 17))
  for (int k = 0; k < turn.filters; ++k) {
    const size_t first = size_t(k) * size_t(turn.taps);
    for (size_t tap = 0; tap < size_t(turn.taps); ++tap)
      memcpy(turn.data + (first + tap) * turn.tap_bytes,
             filter + (first + size_t(turn.taps) - 1 - tap) * turn.tap_bytes, turn.tap_bytes);
  }
}
}  // namespace

void ConvOperand::bind(void* data, char* scratch) {
  plain.set_data_handle(data);
  if (differs) inner.set_data_handle(scratch + offset);
  turn.data = scratch + turn.offset;
}

void ConvOperand::convert(dnnl::stream& stream, const memory& source, const memory& target) {
  if (!differs) return;
  if (stopover.get_size() > 0) {
    memory plain_filter = source, ordered(stopover, source.get_engine()), transformed = target;
    dnnl::reorder(plain_filter, ordered).execute(stream, plain_filter, ordered);
    // Made for this one call: such a primitive keeps memory of its own, several times the filter's.
    return dnnl::reorder(ordered, transformed).execute(stream, ordered, transformed);
  }
  char* data = static_cast<char*>(source.get_data_handle());
  if (turn.taps > 1) {
    turn_taps(turn, data);
    data = turn.data;
  }
  from.set_data_handle(data);
  to.set_data_handle(target.get_data_handle());
  copy.execute(stream, from, to);
}

void ConvPlan::run(dnnl::stream& stream, char* scratch, void* first_data, void* second_data, void* result_data,
                   bool packed) {
  first.bind(first_data, scratch);
  first.convert(stream, first.plain, first.inner);
  if (packed) {
    second.inner.set_data_handle(second_data);
  } else {
    second.bind(second_data, scratch);
    second.convert(stream, second.plain, second.inner);
  }
  result.bind(result_data, scratch);
  if (addend.differs) {
    addend.bind(result_data, scratch);
    addend.convert(stream, addend.plain, addend.inner);
  }
  scratchpad.set_data_handle(scratch + scratchpad_offset);
  primitive.execute(stream, arguments);
  result.convert(stream, result.inner, result.plain);
}

ConvPlan& ConvPlans::find(const ConvProblem& p, int threads) {
  // A primitive splits its work when it is made: it must be made for as many threads as run it.
  omp_set_num_threads(threads);
  const int flags = int(p.bias) | int(p.add) << 1 | int(p.turned) << 2 | int(p.packed) << 3 | int(p.act) << 4 |
                    int(p.kind) << 8 | int(p.type) << 12;
  const std::array<int, 18> key{p.x.n, p.x.h, p.x.w, p.x.c,    p.w.n,      p.w.h,   p.w.w,   p.w.c, p.y.n,
                                p.y.h, p.y.w, p.y.c, p.stride, p.dilation, p.pad_h, p.pad_w, flags, threads};
  const auto found = plans_.find(key);
  if (found != plans_.end()) return found->second;
  try {
    ConvPlan plan = build_plan(p, engine_);
    plan.type = p.type;
    for (ConvOperand* o : {&plan.first, &plan.second, &plan.result}) {
      if (!o->differs) continue;
      o->offset = plan.bytes;
      plan.bytes += aligned(o->inner.get_desc().get_size());
      o->turn.offset = plan.bytes;
      plan.bytes += aligned(o->turn.bytes());
    }
    plan.addend.offset = plan.result.offset;
    plan.scratchpad_offset = plan.bytes;
    plan.bytes += aligned(plan.scratchpad.get_desc().get_size());
    plan.arguments.emplace(DNNL_ARG_SCRATCHPAD, plan.scratchpad);
    return plans_.emplace(key, std::move(plan)).first->second;
  } catch (const dnnl::error& e) {
    if (p.type == DType::bf16 && e.status == dnnl_unimplemented) {
      ConvPlan none;
      none.naive = true;
      return plans_.emplace(key, std::move(none)).first->second;
    }
    throw DeviceError(cat("oneDNN has no convolution of ", to_string(p.x), " to ", to_string(p.y), " by ",
                          to_string(p.w), ": ", e.what()));
  }
}

}  // namespace telltale
#endif
