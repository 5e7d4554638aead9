// A weighted Gram matrix Σ w v vᵀ, row by row. Private to the core.
#pragma once

#include <algorithm>

#include "alphacl/view.h"
#include "isa/tables/kernels.h"
#include "packing/upper_tiles.h"
#include "runtime/threads.h"

namespace alphacl {

/// Collects gram_chunk packed rows at a time into tiles of the upper triangle in double.
template <class T>
class OuterSum {
 public:
  void start(index_t d) {
    d_ = d;
    held_ = 0;
    panels_ = UpperTiles<T>::panels(d);
    plain_.resize(stride * panels_ * kernels<T>().panel);
    weighted_.resize(stride * panels_ * kernels<T>().panel);
    acc_.resize(UpperTiles<T>::entries(d));
    std::fill_n(acc_.data(), UpperTiles<T>::entries(d), 0.0);
  }

  void add(const T* row, T w) {
    const index_t at = held_ * kernels<T>().panel;
    kernels<T>().pack_row(row, nullptr, w, row_factors<T>()[held_], d_, stride, plain_.data() + at,
                          weighted_.data() + at);
    if (++held_ == gram_chunk) flush();
  }

  /// Rows rows[r] of x with weights w[r], r < n.
  void add(View<const T> x, const index_t* rows, const T* w, index_t n) {
    for (index_t r = 0; r < n;) {
      const index_t part = std::min(n - r, gram_chunk - held_);
      kernels<T>().pack_rows(x.data, x.stride, rows + r, w + r, row_factors<T>(), part, d_, stride, held_,
                             plain_.data(), weighted_.data());
      held_ += part;
      r += part;
      if (held_ == gram_chunk) flush();
    }
  }

  /// The tiles (UpperTiles), complete.
  const double* finish() {
    flush();
    return acc_.data();
  }

 private:
  // An odd number of rows: panels a power of two apart would share the sets of the first-level cache.
  static constexpr index_t stride = gram_chunk + 1;

  void flush() {
    poll();
    if (held_ > 0) kernels<T>().gram(plain_.data(), weighted_.data(), held_, stride, 0, panels_, acc_.data());
    held_ = 0;
  }

  index_t d_ = 0, panels_ = 0, held_ = 0;
  Buffer<T> plain_, weighted_;
  Buffer<double> acc_;
};

}  // namespace alphacl
