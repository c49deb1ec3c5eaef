#include "kernels/case/op_case.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <filesystem>

#include "base/check.h"
#include "kernels/device/cuda_api.h"
#include "kernels/device/host_values.h"

namespace telltale {
namespace {

constexpr size_t kGuard = 64;
constexpr unsigned char kGuardByte = 0xa5;

struct Registrar {
  void (*add)(std::vector<OpCase>&);
  std::string kernel;
};
std::vector<Registrar>& registrars() {
  static std::vector<Registrar> r;
  return r;
}

/// Distance to the next number at magnitude m, relative to m.
double epsilon_of(DType t) {
  switch (t) {
    case DType::f64: return std::ldexp(1, -52);
    case DType::bf16: return std::ldexp(1, -7);
    case DType::f16: return std::ldexp(1, -10);
    default: return std::ldexp(1, -23);
  }
}

constexpr size_t kFewest = 20, kMost = 100;  // timed calls
constexpr double kEnough = 0.5;              // seconds after which more calls tell nothing new

std::vector<double> time_on_host(const std::function<void()>& f) {
  std::vector<double> times;
  for (double total = 0; times.size() < kFewest || (times.size() < kMost && total < kEnough); total += times.back()) {
    const auto start = std::chrono::steady_clock::now();
    f();
    times.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  return times;
}

/// Between events, so that launching costs nothing; every call finds the L2 full of something else.
std::vector<double> time_on_gpu(Stream& s, const std::function<void()>& f) {
  struct Event {
    void* handle = cuda_api::create_event();
    ~Event() { cuda_api::destroy_event(handle); }
  };
  const OwnedTensor flush(s.place(), {1, 1, 1, 256 << 20}, DType::u8);
  std::vector<double> times;
  Event start, end;
  for (double total = 0; times.size() < kFewest || (times.size() < kMost && total < kEnough); total += times.back()) {
    fill_zero(s, flush);
    cuda_api::record_event(start.handle, s.native());
    f();
    cuda_api::record_event(end.handle, s.native());
    times.push_back(cuda_api::seconds_between(start.handle, end.handle));
  }
  return times;
}

std::string position(const Shape& s, int64_t i) {
  const int64_t c = i % s.c, w = i / s.c % s.w, h = i / s.c / s.w % s.h, n = i / s.c / s.w / s.h;
  return cat("[", n, ",", h, ",", w, ",", c, "]");
}

}  // namespace

CaseRun::CaseRun(Stream& stream, DType dtype, Mode mode, uint64_t seed)
    : stream(stream), dtype(dtype), mode(mode), random(seed) {}

Tensor CaseRun::guarded(Shape shape, DType type) {
  const size_t bytes = size_t(shape.numel()) * size_of(type);
  const size_t padded = (bytes + 2 * kGuard + 63) / 64 * 64 + kGuard;
  owned_.emplace_back(stream.place(), Shape{1, 1, int(padded / 64), 64}, DType::u8);
  if (is_test()) {
    const std::vector<unsigned char> fill(padded, kGuardByte);
    upload(stream, owned_.back().tensor, fill.data());
  }
  // The payload starts one element past a 64-byte boundary for every other tensor, so that unaligned views are met
  // everywhere; libraries have kernels of their own for those, so both kinds are to be tested.
  const size_t start = kGuard + (is_test() && !aligned && owned_.size() % 2 ? size_of(type) : 0);
  Tensor t = owned_.back().buffer.view(shape, type, start);
  guards_.emplace_back(t, owned_.size() - 1);
  return t;
}

Tensor CaseRun::input(Shape shape, double low, double high) { return input(shape, dtype, low, high); }

Tensor CaseRun::input(Shape shape, DType type, double low, double high) {
  constexpr int64_t kDrawn = 1 << 20;
  const int64_t count = is_test() ? shape.numel() : std::min(shape.numel(), kDrawn);
  std::vector<double> v(static_cast<size_t>(count));
  for (double& e : v)
    e = type == DType::u8 || type == DType::i32 ? std::floor(random.uniform(low, high)) : random.uniform(low, high);
  Tensor t = guarded(shape, type);
  assign({t.data, {1, 1, 1, int(count)}, type}, v);
  for (int64_t done = count; done < shape.numel();) {
    const int more = int(std::min({done, shape.numel() - done, kDrawn}));
    const Shape part{1, 1, 1, more};
    copy(stream, {t.as<char>() + size_t(done) * size_of(type), part, type}, {t.data, part, type});
    done += more;
  }
  return t;
}

Shape CaseRun::sized(Shape shape) const {
  const int64_t enough = (int64_t(256) << 20) / int64_t(size_of(dtype));
  if (is_test() || !stream.is_cuda() || shape.numel() == 0) return shape;
  shape.n *= int((enough + shape.numel() - 1) / shape.numel());
  return shape;
}

Shape CaseRun::batched(Shape shape, int n) const {
  if (!is_test() && stream.is_cuda()) shape.n = n;
  return shape;
}

Tensor CaseRun::from(Shape shape, DType type, const std::vector<double>& v) {
  Tensor t = guarded(shape, type);
  assign(t, v);
  return t;
}

void CaseRun::assign(Tensor t, const std::vector<double>& v) {
  TT_CHECK(int64_t(v.size()) == t.shape.numel(), ShapeError, "assign: ", v.size(), " values for ", to_string(t.shape));
  set_values(stream, t, v);
}

Tensor CaseRun::output(Shape shape) { return output(shape, dtype); }

Tensor CaseRun::output(Shape shape, DType type) {
  Tensor t = guarded(shape, type);
  if (is_test()) {
    const std::vector<unsigned char> poison(t.bytes(), 0xff);  // a NaN in every floating-point type
    upload(stream, t, poison.data());
  }
  return t;
}

std::vector<double> CaseRun::values(Tensor t) { return values_of(stream, t); }

void CaseRun::op(double b, double fl, const std::function<void()>& f) {
  bytes += b;
  flops += fl;
  f();
  if (is_test()) return;
  std::vector<double> times = stream.is_cuda() ? time_on_gpu(stream, f) : time_on_host(f);
  std::sort(times.begin(), times.end());
  if (seconds_.empty()) {
    seconds_ = times;
    return;
  }
  seconds_.resize(std::min(seconds_.size(), times.size()));
  for (size_t i = 0; i < seconds_.size(); ++i) seconds_[i] += times[i];
}

void CaseRun::report(double share, const std::string& where) {
  if (share > margin_.share || std::isnan(share)) margin_ = {share, where};
  if (!(share <= 1)) failures_.push_back(where);
}

void CaseRun::expect(const std::string& name, Tensor got, const std::vector<double>& expected, double ulps,
                     double floor) {
  if (!is_test()) return;
  stream.sync();
  const std::vector<double> v = values(got);
  require(cat(name, ": ", v.size(), " values, expected ", expected.size()), v.size() == expected.size());
  if (v.size() != expected.size()) return;
  double worst = 0;
  size_t at = 0;
  double allowed_at = 0;
  for (size_t i = 0; i < v.size(); ++i) {
    const double e = expected[i];
    double share = 0;
    const double allowed = ulps * epsilon_of(got.dtype) * std::max(std::abs(e), floor);
    if (std::isnan(e) || std::isnan(v[i])) {
      share = std::isnan(e) && std::isnan(v[i]) ? 0 : INFINITY;
    } else if (std::isinf(e) || std::isinf(v[i])) {
      share = e == v[i] ? 0 : INFINITY;
    } else if (v[i] != e) {
      share = allowed > 0 ? std::abs(v[i] - e) / allowed : INFINITY;
    }
    if (share > worst) {
      worst = share;
      at = i;
      allowed_at = allowed;
    }
  }
  if (v.empty()) return;
  report(worst, cat(name, position(got.shape, int64_t(at)), " of ", to_string(got.shape), " got ", v[at], ", expected ",
                    expected[at], " (allowed ", allowed_at, ")"));
}

void CaseRun::gradient(const std::string& name, Tensor x, Tensor dx, Tensor y, Tensor dy,
                       const std::function<void()>& forward, double tolerance, int samples) {
  if (!is_test() || !is_f64()) return;
  const std::vector<double> gradient = values(dx), weight = values(dy), start = values(x);
  const auto objective = [&] {
    forward();
    stream.sync();
    const std::vector<double> out = values(y);
    double sum = 0;
    for (size_t i = 0; i < out.size(); ++i) sum += out[i] * weight[i];
    return sum;
  };
  double scale = 1e-3;  // gradients are compared relative to the largest among those looked at
  for (double g : gradient) scale = std::max(scale, std::abs(g));
  const double h = 1e-6;
  std::vector<double> moved = start;
  for (int k = 0; k < samples && !start.empty(); ++k) {
    const size_t i =
        int64_t(start.size()) <= samples ? size_t(k) : size_t(random.integer(0, int64_t(start.size()) - 1));
    if (i >= start.size()) break;
    moved[i] = start[i] + h;
    assign(x, moved);
    const double up = objective();
    moved[i] = start[i] - h;
    assign(x, moved);
    const double down = objective();
    moved[i] = start[i];
    const double numeric = (up - down) / (2 * h);
    report(std::abs(numeric - gradient[i]) / (tolerance * scale),
           cat(name, position(x.shape, int64_t(i)), ": backward says ", gradient[i], ", central difference ", numeric));
  }
  assign(x, start);
  forward();
}

void CaseRun::require(const std::string& what, bool condition) {
  if (is_test() && !condition) report(INFINITY, what);
}

void CaseRun::check_guards() {
  stream.sync();
  for (const auto& [t, index] : guards_) {
    const Tensor& whole = owned_[index].tensor;
    std::vector<unsigned char> host(whole.bytes());
    download(stream, host.data(), whole);
    const size_t start = size_t(static_cast<char*>(t.data) - static_cast<char*>(whole.data)), end = start + t.bytes();
    for (size_t i = 0; i < host.size(); ++i) {
      if ((i < start || i >= end) && host[i] != kGuardByte) {
        require(cat("a write ", i < start ? "before" : "past", " the tensor ", to_string(t.shape), " of ",
                    name_of(t.dtype)),
                false);
        break;
      }
    }
  }
}

RegisterCases::RegisterCases(void (*add)(std::vector<OpCase>&), const char* path) {
  const std::string file = path;
  const size_t below = file.rfind("kernels/");
  const size_t first = below == std::string::npos ? 0 : below + std::string_view("kernels/").size();
  registrars().push_back({add, file.substr(first, file.rfind("_case.cpp") - first)});
}

std::vector<OpCase> all_cases() {
  std::vector<OpCase> cases;
  for (const Registrar& r : registrars()) {
    const size_t first = cases.size();
    r.add(cases);
    for (size_t i = first; i < cases.size(); ++i) cases[i].kernel = r.kernel;
  }
  std::stable_sort(cases.begin(), cases.end(), [](const OpCase& a, const OpCase& b) { return a.op < b.op; });
  return cases;
}

}  // namespace telltale
