#include "losses/pixels.h"

#include "base/check.h"

namespace telltale {
namespace {

/// A function's static, so that it exists before the first registration whatever the order of files.
std::map<std::string, PixelLossEntry>& entries() {
  static std::map<std::string, PixelLossEntry> all;
  return all;
}

const PixelLossEntry& entry(const std::string& name) {
  const auto found = entries().find(name);
  if (found != entries().end()) return found->second;
  std::string known;
  for (const std::string& n : pixel_loss_names()) known += (known.empty() ? "" : ", ") + n;
  throw UsageError(cat("unknown loss '", name, "' over pixels; known: ", known));
}

}  // namespace

RegisterPixelLoss::RegisterPixelLoss(PixelLossEntry e) {
  const std::string name = e.info.name;
  entries().emplace(name, std::move(e));
}

std::vector<std::string> pixel_loss_names() {
  std::vector<std::string> names;
  for (const auto& [name, e] : entries()) names.push_back(name);
  return names;
}

const LossInfo& pixel_loss_info(const std::string& name) { return entry(name).info; }

std::string describe_pixel_losses() {
  std::string text;
  for (const auto& [name, e] : entries()) text += described(e.info);
  return text;
}

std::unique_ptr<Loss> make_pixel_loss(const std::string& name, const LossSettings& settings, double weight) {
  const PixelLossEntry& e = entry(name);
  return e.make(name, completed(e.info, settings), weight);
}

}  // namespace telltale
