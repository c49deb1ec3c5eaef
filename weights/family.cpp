#include "weights/family.h"

#include <algorithm>
#include <map>
#include <string_view>

#include "base/check.h"
#include "weights/names.h"

namespace telltale {
namespace {

using ByName = std::map<std::string_view, const TensorInfo*>;

/// How far a file is from a member of a family.
struct Distance {
  const NetFamily* family;
  NetIdentity identity;
  size_t matched = 0;
  std::vector<std::string> faults;
};

int64_t outputs_of(const ByName& file, const std::string& name) {
  const auto it = file.find(name);
  return it == file.end() || it->second->shape.empty() ? 0 : it->second->shape[0];
}

Distance distance(const ByName& file, const NetFamily& family) {
  Distance d{.family = &family, .identity = {.family = family.name}, .faults = {}};
  d.identity.width = outputs_of(file, family.first);
  if (!family.head.empty()) d.identity.outputs = outputs_of(file, family.head + ".weight");
  ByName left = file;
  for (const TensorInfo& e : family.tensors(d.identity.width, d.identity.outputs)) {
    const auto it = left.find(e.name);
    if (it == left.end()) {
      if (!e.shape.empty()) d.faults.push_back(cat("missing: ", e.name, " ", to_string(e.shape)));
      continue;
    }
    ++d.matched;
    if (!fits(it->second->shape, e.shape))
      d.faults.push_back(
          cat("wrong shape: ", e.name, " ", to_string(it->second->shape), ", expected ", to_string(e.shape)));
    left.erase(it);
  }
  for (const auto& [name, info] : left) d.faults.push_back(cat("left over: ", name, " ", to_string(info->shape)));
  return d;
}

std::string list(const std::vector<std::string>& lines) {
  constexpr size_t kMost = 20;
  std::string text;
  for (size_t i = 0; i < std::min(lines.size(), kMost); ++i) text += "\n  " + lines[i];
  if (lines.size() > kMost) text += cat("\n  and ", lines.size() - kMost, " more");
  return text;
}

bool is_fuse_filter(const StateTensor& t) { return t.info.name.ends_with("contextual_attention.fuse_weight"); }

/// The published attention keeps the 3×3 identity it fuses scores with among its tensors; ours has it in the kernel.
void check_fuse_filter(const StateTensor& t) {
  TT_CHECK((t.info.shape == std::vector<int64_t>{1, 1, 3, 3}) &&
               (t.read() == std::vector<double>{1, 0, 0, 0, 1, 0, 0, 0, 1}),
           DataError, t.info.name, ": must be the 3x3 identity, [1,1,3,3]; another filter is not supported");
}

}  // namespace

StateDict net_parameters(const StateDict& dict, SpectralNorm how) {
  StateDict net = fold_spectral_norm(without_wrapper_prefix(dict), how);
  for (const StateTensor& t : net)
    if (is_fuse_filter(t)) check_fuse_filter(t);
  std::erase_if(net, is_fuse_filter);
  return net;
}

NetIdentity identify(const StateDict& dict, std::span<const NetFamily> families) {
  const StateDict net = net_parameters(dict);
  ByName file;
  for (const StateTensor& t : net)
    TT_CHECK(file.emplace(t.info.name, &t.info).second, DataError, t.info.name, " is there twice");
  Distance best{.family = nullptr, .identity = {}, .faults = {}};
  std::string known;
  for (const NetFamily& family : families) {
    known += cat(known.empty() ? "" : ", ", family.name);
    Distance d = distance(file, family);
    if (d.matched > 0 && (!best.family || d.faults.size() < best.faults.size())) best = std::move(d);
  }
  TT_CHECK(best.family, DataError, "none of its ", net.size(), " tensors belongs to a net known here: ", known);
  TT_CHECK(best.faults.empty(), DataError, "no net known here; closest is ", best.family->name, ", but ",
           best.faults.size(), " tensor(s) do not fit it:", list(best.faults));
  best.identity.spectral_norm = std::any_of(
      dict.begin(), dict.end(), [](const StateTensor& t) { return t.info.name.ends_with(".module.weight_bar"); });
  return best.identity;
}

}  // namespace telltale
