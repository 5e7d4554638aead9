// One node's weighted Gram matrix from rows of several arrays. Private to the core.
#pragma once

#include <algorithm>

#include "alphacl/kernels.h"
#include "alphacl/view.h"

namespace alphacl {

/// Collects w · v vᵀ for rows v, 256 packed rows at a time, into tiles of the upper triangle in double.
template <class T>
class GatedGram {
 public:
  void start(index_t d) {
    d_ = d;
    held_ = 0;
    panels_ = ceil_div(d, kernels<T>().panel);
    plain_.resize(capacity * panels_ * kernels<T>().panel);
    weighted_.resize(capacity * panels_ * kernels<T>().panel);
    acc_.resize(entries(d));
    std::fill_n(acc_.data(), entries(d), 0.0);
  }

  /// Rows x_i − y_i (or x_i − shift where y.data is null), i = rows[r], with weights w[r], r < n.
  template <class S>
  void add(View<const S> x, View<const S> y, const double* shift, const index_t* rows, const T* w, index_t n) {
    for (index_t r = 0; r < n;) {
      const index_t part = std::min(n - r, capacity - held_);
      read_kernels<T, S>().pack_rows(x.data, x.stride, y.data, y.stride, shift, rows + r, w + r, part, d_, capacity,
                                     held_, plain_.data(), weighted_.data());
      held_ += part;
      r += part;
      if (held_ == capacity) flush();
    }
  }

  /// The tiles, complete.
  const double* finish() {
    flush();
    return acc_.data();
  }

  /// Size of the tiles, and where entry (a, b), a ≤ b, stands in them.
  static index_t entries(index_t d) {
    const index_t panel = kernels<T>().panel, panels = ceil_div(d, panel);
    return panels * (panels + 1) / 2 * panel * panel;
  }
  static index_t entry(index_t a, index_t b) {
    const index_t panel = kernels<T>().panel, pa = a / panel, pb = b / panel;
    return (pb * (pb + 1) / 2 + pa) * panel * panel + a % panel * panel + b % panel;
  }

 private:
  static constexpr index_t capacity = 256;

  void flush() {
    if (held_ > 0) kernels<T>().gram(plain_.data(), weighted_.data(), held_, capacity, 0, panels_, acc_.data());
    held_ = 0;
  }

  index_t d_ = 0, panels_ = 0, held_ = 0;
  Buffer<T> plain_, weighted_;
  Buffer<double> acc_;
};

}  // namespace alphacl
