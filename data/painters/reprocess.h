#pragma once
// What the painters that invent nothing share: they work on a piece of the photograph around the hole.
#include <functional>

#include "data/painters/picture.h"

namespace telltale {

/// The photograph with the piece around the hole (`margin` pixels wider on each side, as far as there is picture)
/// replaced by what `change` makes of it; the result must have the piece's size.
Picture change_around(const Picture& photo, const Grey& mask, int margin,
                      const std::function<Picture(const Picture&)>& change);

}  // namespace telltale
