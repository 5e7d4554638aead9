// A weighted Gram matrix Σ w v vᵀ, row by row. Private to the core.
#pragma once

#include <algorithm>
#include <vector>

#include "alphacl/view.h"
#include "isa/tables/kernels.h"
#include "packing/packed_panels.h"
#include "packing/upper_tiles.h"
#include "runtime/threads.h"
#include "runtime/twofold_sum.h"

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
    if (in_double) sums_.assign(static_cast<std::size_t>(UpperTiles<T>::entries(d)), {});
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
    for (std::size_t e = 0; e < sums_.size(); ++e) acc_[static_cast<index_t>(e)] = sums_[e].value();
    return acc_.data();
  }

 private:
  // In double the sums of chunks may be large and cancel: of those over all pairs there are many.
  static constexpr bool in_double = sizeof(T) == 8;

  void flush() {
    poll();
    if (held_ > 0) kernels<T>().gram(plain_.read(0), weighted_.read(0), held_, 0, plain_.count(), acc_.data());
    held_ = 0;
    for (std::size_t e = 0; e < sums_.size(); ++e) {
      double& chunk = acc_[static_cast<index_t>(e)];
      sums_[e].add(chunk);
      chunk = 0;
    }
  }

  index_t d_ = 0, held_ = 0;
  PackedPanels<T> plain_, weighted_;
  Buffer<double> acc_;
  std::vector<TwofoldSum> sums_;
};

}  // namespace alphacl
