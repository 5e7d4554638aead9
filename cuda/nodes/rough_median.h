// A vector near most samples, or near most gated samples of a node: as good a shift as the mean, and outliers do not
// move it.
#pragma once

#include "alphacl/view.h"
#include "simt/simt.h"

namespace alphacl::cuda {

/// The median of at most 64 samples, feature by feature: out (nodes × d), a thread a number. Registers: 32; the sorted
/// numbers lie in local memory.
template <class S>
struct RoughMedian {
  View<const S> x;
  const double* gates;  // nodes × N; null: one node, whose gates are 1
  double* out;
  __device__ void operator()(std::int64_t e) const {
    constexpr int most = 64;
    const index_t k = e / x.cols, c = e % x.cols;
    const int count = x.rows < most ? static_cast<int>(x.rows) : most;
    double sorted[most];
    for (int r = 0; r < count; ++r) {
      const index_t i = r * x.rows / count;
      const double gate = gates == nullptr ? 1 : gates[k * x.rows + i];
      const double value = gate * static_cast<double>(x.data[i * x.stride + c]);
      int place = r;
      for (; place > 0 && sorted[place - 1] > value; --place) sorted[place] = sorted[place - 1];
      sorted[place] = value;
    }
    out[e] = sorted[count / 2];
  }
};

}  // namespace alphacl::cuda
