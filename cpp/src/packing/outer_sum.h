// A weighted Gram matrix Σ w v vᵀ, row by row. Private to the core.
#pragma once

#include <algorithm>

#include "alphacl/view.h"
#include "isa/tables/kernels.h"
#include "packing/packed_panels.h"
#include "packing/upper_tiles.h"
#include "runtime/threads.h"

namespace alphacl {

/// Packs gram_chunk rows at a time and adds their product to tiles of the upper triangle, in double.
template <class T>
class OuterSum {
 public:
  void start(index_t d) {
    d_ = d;
    held_ = 0;
    plain_.resize(gram_chunk, d);
    weighted_.resize(gram_chunk, d);
    acc_.resize(UpperTiles<T>::entries(d));
    std::fill_n(acc_.data(), UpperTiles<T>::entries(d), 0.0);
  }

  void add(const T* row, T w) {
    kernels<T>().pack_row(row, nullptr, w, row_factors<T>()[held_], d_, plain_.rows(held_), weighted_.rows(held_));
    if (++held_ == gram_chunk) flush();
  }

  /// Adds rows rows[r] of x with weights w[r], r < n.
  void add(View<const T> x, const index_t* rows, const T* w, index_t n) {
    for (index_t r = 0; r < n;) {
      const index_t part = std::min(n - r, gram_chunk - held_);
      kernels<T>().pack_rows(
          {x.data, x.stride, rows + r, w + r, row_factors<T>(), part, d_, held_, plain_.rows(0), weighted_.rows(0)});
      held_ += part;
      r += part;
      if (held_ == gram_chunk) flush();
    }
  }

  /// Adds the rows still held and returns the tiles (UpperTiles).
  const double* finish() {
    flush();
    return acc_.data();
  }

 private:
  void flush() {
    poll();
    if (held_ > 0) kernels<T>().gram(plain_.read(0), weighted_.read(0), held_, 0, plain_.count(), acc_.data());
    held_ = 0;
  }

  index_t d_ = 0, held_ = 0;
  PackedPanels<T> plain_, weighted_;
  Buffer<double> acc_;
};

}  // namespace alphacl
