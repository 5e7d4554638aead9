// Memory of packed panels (isa/tables/panels.h). Private to the core.
#pragma once

#include "isa/tables/kernels.h"

namespace alphacl {

template <class T>
class PackedPanels {
 public:
  PackedPanels() = default;
  PackedPanels(index_t rows, index_t columns) { resize(rows, columns); }

  /// An odd number of rows from one panel to the next: powers of two would share the sets of the first-level cache.
  void resize(index_t rows, index_t columns) {
    panel_ = kernels<T>().panel;
    stride_ = rows | 1;
    count_ = ceil_div(columns, panel_);
    data_.resize(count_ * stride_ * panel_);
  }

  index_t count() const { return count_; }           // panels
  index_t width() const { return count_ * panel_; }  // columns with the padding
  /// All panels from this row on, to be written.
  Panels<T> rows(index_t first) { return {data_.data() + first * panel_, stride_, count_}; }
  /// The panels from number `panel` on, from this row on.
  Panels<const T> read(index_t first, index_t panel = 0) const {
    return {data_.data() + (panel * stride_ + first) * panel_, stride_, count_ - panel};
  }

 private:
  index_t panel_ = 0, stride_ = 0, count_ = 0;
  Buffer<T> data_;
};

}  // namespace alphacl
