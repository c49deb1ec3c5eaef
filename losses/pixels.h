#pragma once
// Losses over pixels by name. A loss is one file losses/pixel_NAME.cu that registers itself; nothing else lists it.
#include "losses/loss.h"
#include "losses/pixel_terms.h"

namespace telltale {

/// Every registered one, in name order.
std::vector<std::string> pixel_loss_names();
/// Throws UsageError on an unknown name, listing the known ones.
const LossInfo& pixel_loss_info(const std::string& name);
/// Every one with its paper, its settings, their defaults and ranges, as text.
std::string describe_pixel_losses();
/// The mean over samples of a loss of one sample's map: pred {N,H,W,1} logits, target {N,H,W,1} from 0 (as it was) to 1
/// (painted), terms {N·H,1,1,terms()}, the first of which are PixelTerms; each sample's share is weight/state->samples.
/// Throws UsageError as make_loss.
std::unique_ptr<Loss> make_pixel_loss(const std::string& name, const LossSettings& settings = {}, double weight = 1);

struct PixelLossEntry {
  LossInfo info;
  std::unique_ptr<Loss> (*make)(const std::string& name, const LossSettings& complete, double weight) = nullptr;
};
/// Registers at start-up.
struct RegisterPixelLoss {
  explicit RegisterPixelLoss(PixelLossEntry entry);
};
/// The defaults of a loss with the caller's values over them. Throws UsageError on an unknown setting and on a value
/// out of its range.
LossSettings completed(const LossInfo& info, const LossSettings& given);
/// A loss's part of such a text.
std::string described(const LossInfo& info);

}  // namespace telltale
