// The order in which the Gram kernels write the upper triangle of a d × d matrix. Private to the core.
#pragma once

#include "isa/tables/kernels.h"

namespace alphacl {

/// Tiles of panel × panel doubles, ordered column of tiles by column of tiles, each from its first tile to the
/// diagonal.
template <class T>
struct UpperTiles {
  static index_t panels(index_t d) { return ceil_div(d, kernels<T>().panel); }
  /// The number of entries in the first `columns` columns of tiles.
  static index_t before(index_t columns) {
    return columns * (columns + 1) / 2 * kernels<T>().panel * kernels<T>().panel;
  }
  static index_t entries(index_t d) { return before(panels(d)); }
  /// The index of entry (a, b), a ≤ b.
  static index_t entry(index_t a, index_t b) {
    const index_t panel = kernels<T>().panel;
    return before(b / panel) + (a / panel * panel + a % panel) * panel + b % panel;
  }
};

}  // namespace alphacl
