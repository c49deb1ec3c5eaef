#include "weights/names.h"

#include <algorithm>
#include <set>

#include "base/check.h"
#include "base/log.h"
#include "kernels/device/host_values.h"
#include "weights/elements.h"

namespace telltale {

namespace {

bool is_vector(const ParamSpec& spec) {
  const Shape& s = spec.shape;
  return !spec.is_linear && s.n == 1 && s.h == 1 && s.w == 1;
}

/// The engine shape of one of the spec's parts: split along the first axis, or along channels for a vector.
Shape part_shape(const ParamSpec& spec) {
  Shape s = spec.shape;
  const int parts = int(spec.names.size());
  int& split = is_vector(spec) ? s.c : s.n;
  TT_CHECK(parts > 0 && split % parts == 0, ShapeError, "a parameter of shape ", to_string(s), " has no ", parts,
           " equal parts");
  split /= parts;
  return s;
}

/// Elements of type S from NCHW to NHWC.
template <class S, class T>
void place(const unsigned char* from, const Shape& shape, T* to) {
  const size_t channels = size_t(shape.c), area = size_t(shape.h) * size_t(shape.w), filter = channels * area;
  const bool as_theirs = channels == 1 || area == 1;  // nothing to transpose
#pragma omp parallel for if (shape.numel() > (1 << 16))
  for (int n = 0; n < shape.n; ++n) {
    const unsigned char* theirs = from + size_t(n) * filter * sizeof(S);
    T* ours = to + size_t(n) * filter;
    if (as_theirs) {
      for (size_t i = 0; i < filter; ++i) ours[i] = widened_element<T, S>(theirs + i * sizeof(S));
    } else {
      for (size_t c = 0; c < channels; ++c)
        for (size_t i = 0; i < area; ++i, theirs += sizeof(S)) ours[i * channels + c] = widened_element<T, S>(theirs);
    }
  }
}

/// A part's elements as they lie in its file; where no file holds them, as doubles in `scratch`. Throws ShapeError
/// unless there are `count`.
std::pair<FileDType, StateTensor::Bytes> elements_of(const StateTensor& t, int64_t count,
                                                     std::vector<unsigned char>& scratch) {
  const FileDType dtype = t.stored ? t.info.dtype : FileDType::f64;
  StateTensor::Bytes bytes;
  if (t.stored) {
    bytes = t.stored(scratch);
  } else {
    const std::vector<double> values = t.read();
    scratch.resize(values.size() * sizeof(double));
    narrow(dtype, values, scratch.data());
    bytes = scratch;
  }
  TT_CHECK(bytes.size() == size_t(count) * size_of(dtype), ShapeError, t.info.name, ": a part needs ", count,
           " values, got ", bytes.size() / size_of(dtype));
  return {dtype, bytes};
}

template <class T>
void assign_as(const ParamSpec& spec, T* to, const std::vector<const StateTensor*>& parts) {
  const Shape shape = part_shape(spec);
  std::vector<unsigned char> scratch;
  for (const StateTensor* part : parts) {
    if (part) {
      const auto [dtype, bytes] = elements_of(*part, shape.numel(), scratch);
      visit_stored(dtype, [&, from = bytes.data()](auto tag) { place<typename decltype(tag)::type>(from, shape, to); });
    } else {
      std::fill_n(to, shape.numel(), T(0));
    }
    to += shape.numel();
  }
}

bool is_of_layer(const std::string& tensor, const std::string& layer) {
  return !layer.empty() && tensor.starts_with(layer + ".");
}

/// Same but for the number of outputs.
bool differs_in_outputs_only(const std::vector<int64_t>& a, const std::vector<int64_t>& b) {
  return !a.empty() && a.size() == b.size() && a[0] != b[0] && std::equal(a.begin() + 1, a.end(), b.begin() + 1);
}

/// Faults found while matching, reported together.
class Faults {
 public:
  template <class... A>
  void add(const A&... text) {
    if (++count_ <= 5) list_ += cat("\n  ", text...);
  }
  void raise() const {
    if (count_ == 0) return;
    const std::string more = count_ > 5 ? cat("\n  and ", count_ - 5, " more") : "";
    throw DataError(cat(count_, " tensor(s) do not fit this net:", list_, more));
  }

 private:
  int count_ = 0;
  std::string list_;
};

}  // namespace

bool fits(const std::vector<int64_t>& theirs, const std::vector<int64_t>& ours) {
  return theirs == ours || (ours.empty() && theirs == std::vector<int64_t>{1});
}

std::vector<int64_t> state_dict_shape(const ParamSpec& spec) {
  if (spec.is_counter) return {};
  const Shape s = part_shape(spec);
  if (spec.is_linear) return {s.n, int64_t(s.c) * s.h * s.w};
  if (is_vector(spec)) return {s.c};
  return {s.n, s.c, s.h, s.w};
}

void assign(Stream& s, const ParamSpec& spec, Tensor to, const std::vector<const StateTensor*>& parts) {
  TT_CHECK(parts.size() == spec.names.size(), ShapeError, spec.names[0], ": expected ", spec.names.size(),
           " parts, got ", parts.size());
  TT_CHECK(to.shape.numel() == spec.shape.numel() && (to.dtype == DType::f32 || to.dtype == DType::f64), ShapeError,
           spec.names[0], ": cannot fill a tensor of ", to_string(to.shape), " and ", name_of(to.dtype));
  s.sync();
  const Buffer staging = s.is_cuda() ? Buffer(Place::host, to.bytes()) : Buffer();
  void* const host = s.is_cuda() ? staging.data() : to.data;
  to.dtype == DType::f64 ? assign_as(spec, static_cast<double*>(host), parts)
                         : assign_as(spec, static_cast<float*>(host), parts);
  if (s.is_cuda()) upload(s, to, host);
}

std::vector<std::vector<double>> to_state_dict(const ParamSpec& spec, const std::vector<double>& values) {
  const Shape s = part_shape(spec);
  TT_CHECK(int64_t(values.size()) == spec.shape.numel(), ShapeError, spec.names[0], ": expected ", spec.shape.numel(),
           " values, got ", values.size());
  std::vector<std::vector<double>> parts;
  const double* from = values.data();
  for (size_t i = 0; i < spec.names.size(); ++i) {
    std::vector<double>& part = parts.emplace_back();
    part.reserve(size_t(s.numel()));
    for (int n = 0; n < s.n; ++n)
      for (int c = 0; c < s.c; ++c)
        for (int place = 0; place < s.h * s.w; ++place)
          part.push_back(from[(size_t(n) * s.h * s.w + size_t(place)) * s.c + c]);
    from += part.size();
  }
  return parts;
}

LoadReport load_params(Stream& s, Params& params, const StateDict& from, const std::string& head,
                       const std::vector<std::string>& encoder) {
  const StateDict dict = without_wrapper_prefix(from);
  const auto encodes = [&](const std::string& name) {
    return std::any_of(encoder.begin(), encoder.end(), [&](const auto& layer) { return is_of_layer(name, layer); });
  };
  bool encoder_alone = !encoder.empty();
  for (const Param& p : params.all())
    for (const std::string& name : p.spec.names) encoder_alone &= encodes(name) || !find(dict, name);
  LoadReport report;
  Faults faults;
  std::set<std::string> wanted;
  // All is matched before anything is written, so that a refusal leaves the net as it was.
  std::vector<std::pair<const Param*, std::vector<const StateTensor*>>> matches;
  bool fresh_head = false;
  for (const Param& p : params.all())
    for (const std::string& name : p.spec.names) {
      const StateTensor* t = find(dict, name);
      fresh_head |= t && is_of_layer(name, head) && differs_in_outputs_only(t->info.shape, state_dict_shape(p.spec));
    }
  for (const Param& p : params.all()) {
    const std::vector<int64_t> shape = state_dict_shape(p.spec);
    std::vector<const StateTensor*> parts;
    for (const std::string& name : p.spec.names) {
      const StateTensor* t = find(dict, name);
      wanted.insert(name);
      if ((fresh_head && is_of_layer(name, head)) || (encoder_alone && !encodes(name))) {
        report.fresh.push_back(name);
      } else if (!t && !p.spec.is_counter) {
        faults.add("missing: ", name, " ", to_string(shape));
      } else if (t && !fits(t->info.shape, shape)) {
        faults.add("wrong shape: ", name, " ", to_string(t->info.shape), ", expected ", to_string(shape));
      } else {
        parts.push_back(t);
      }
    }
    if (parts.size() == p.spec.names.size()) matches.emplace_back(&p, std::move(parts));
  }
  for (const StateTensor& t : dict)
    if (!wanted.contains(t.info.name) && !encoder_alone)
      faults.add("left over: ", t.info.name, " ", to_string(t.info.shape));
  faults.raise();
  for (const auto& [param, tensors] : matches)
    for (const StateTensor* t : tensors) {
      const int64_t broken = t ? count_not_finite(*t) : 0;
      TT_CHECK(broken == 0, DataError, t->info.name, ": ", broken, " of its ", t->info.numel(),
               " values are infinite or no numbers: the weights are broken");
    }
  if (const std::string prefix = wrapper_prefix(from); !prefix.empty())
    spdlog::info("every name begins with {}, which is dropped", prefix);

  for (const auto& [param, tensors] : matches) {
    assign(s, param->spec, param->value, tensors);
    report.loaded += int(std::count_if(tensors.begin(), tensors.end(), [](auto* t) { return t != nullptr; }));
  }
  return report;
}

StateDict params_dict(Stream& s, const Params& params, ParamPart part, const std::string& prefix, FileDType dtype) {
  StateDict dict;
  for (const Param& p : params.all()) {
    if (part != ParamPart::value && !p.trainable) continue;
    const Tensor t = part == ParamPart::value          ? p.value
                     : part == ParamPart::grad         ? p.grad
                     : part == ParamPart::first_moment ? p.m
                                                       : p.v;
    const auto read = [&s, t] { return values_of(s, t); };
    for (size_t i = 0; i < p.spec.names.size(); ++i) {
      const FileDType stored = p.spec.is_counter ? FileDType::i64 : dtype;
      dict.push_back({{prefix + p.spec.names[i], stored, state_dict_shape(p.spec)},
                      [read, &spec = p.spec, i] { return std::move(to_state_dict(spec, read())[i]); }});
    }
  }
  return dict;
}

StateDict under_prefix(const StateDict& dict, const std::string& prefix) {
  StateDict part;
  for (const StateTensor& t : dict) {
    if (!t.info.name.starts_with(prefix)) continue;
    part.push_back(t);
    part.back().info.name.erase(0, prefix.size());
  }
  return part;
}

}  // namespace telltale
