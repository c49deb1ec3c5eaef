#include "weights/names.h"

#include <algorithm>
#include <set>

#include "kernels/core/check.h"
#include "kernels/core/host_values.h"

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

/// Calls f(index in NCHW order, index in NHWC order) for every element.
template <class F>
void for_each_place(const Shape& s, F&& f) {
  size_t nchw = 0;
  for (int n = 0; n < s.n; ++n)
    for (int c = 0; c < s.c; ++c)
      for (int h = 0; h < s.h; ++h)
        for (int w = 0; w < s.w; ++w) f(nchw++, ((size_t(n) * s.h + h) * s.w + w) * s.c + c);
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

std::vector<double> from_state_dict(const ParamSpec& spec, const std::vector<std::vector<double>>& parts) {
  const Shape s = part_shape(spec);
  TT_CHECK(parts.size() == spec.names.size(), ShapeError, spec.names[0], ": expected ", spec.names.size(),
           " parts, got ", parts.size());
  std::vector<double> values(size_t(spec.shape.numel()));
  double* to = values.data();
  for (const std::vector<double>& part : parts) {
    TT_CHECK(int64_t(part.size()) == s.numel(), ShapeError, spec.names[0], ": a part needs ", s.numel(),
             " values, got ", part.size());
    for_each_place(s, [&](size_t nchw, size_t nhwc) { to[nhwc] = part[nchw]; });
    to += part.size();
  }
  return values;
}

std::vector<std::vector<double>> to_state_dict(const ParamSpec& spec, const std::vector<double>& values) {
  const Shape s = part_shape(spec);
  TT_CHECK(int64_t(values.size()) == spec.shape.numel(), ShapeError, spec.names[0], ": expected ", spec.shape.numel(),
           " values, got ", values.size());
  std::vector<std::vector<double>> parts;
  const double* from = values.data();
  for (size_t i = 0; i < spec.names.size(); ++i) {
    std::vector<double>& part = parts.emplace_back(size_t(s.numel()));
    for_each_place(s, [&](size_t nchw, size_t nhwc) { part[nchw] = from[nhwc]; });
    from += part.size();
  }
  return parts;
}

LoadReport load_params(Stream& s, Params& params, const StateDict& from, const std::string& head) {
  const StateDict dict = without_module_prefix(from);
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
      if (fresh_head && is_of_layer(name, head)) {
        report.fresh_head.push_back(name);
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
    if (!wanted.contains(t.info.name)) faults.add("left over: ", t.info.name, " ", to_string(t.info.shape));
  faults.raise();

  for (const auto& [param, tensors] : matches) {
    std::vector<std::vector<double>> parts;
    for (const StateTensor* t : tensors) {
      parts.push_back(t ? t->read() : std::vector<double>{0});
      report.loaded += t != nullptr;
    }
    params.write(s, *param, from_state_dict(param->spec, parts));
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
