#include "losses/bce.h"
#include "losses/sample_loss.h"

namespace telltale {

TT_REGISTER_LOSS("bce", Bce);

}  // namespace telltale
