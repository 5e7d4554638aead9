// Sums of rows and of numbers, by the Gram kernel: a fixed order, the same bits on every run.
#pragma once

#include <stdexcept>

#include "runtime/copies.h"
#include "sums/gram.h"

namespace alphacl::cuda {

// Rows 1 and x_i.
template <class S>
struct RowsAlone {
  View<const S> x;
  RowsAlone from(int) const { return *this; }
  __device__ int rows(int) const { return static_cast<int>(x.rows); }
  __device__ double left(int, int, int) const { return 1; }
  __device__ double right(int, int row, int b) const { return static_cast<double>(x.data[row * x.stride + b]); }
};

/// out_b = scale · Σ_i x_ib, of at most most_samples rows.
template <class S>
void column_sums(const Stream& on, View<const S> x, double scale, double* out) {
  // No text made of numbers: MemorySanitizer does not know what libstdc++ writes.
  if (x.rows > most_samples) throw std::invalid_argument("a sum of too many rows: expected fewer than 2^30 - 2^15");
  const GramShape row{1, static_cast<int>(x.cols), false, gram_groups(x.rows)};
  gram(on, RowsAlone<S>{x}, row, 1, scale, out);
}

/// Σ_i numbers_i, times `scale`; waits for it.
inline double total(const Stream& on, const double* numbers, index_t count, double scale) {
  double* const sum = on.memory.take<double>(1);
  column_sums(on, View<const double>{numbers, count, 1, 1}, scale, sum);
  return read_back(on, sum);
}

}  // namespace alphacl::cuda
