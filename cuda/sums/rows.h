// Rows of matrices: their inner products, a thread a row, and copies in double and back.
#pragma once

#include "sums/elementwise.h"

namespace alphacl::cuda {

/// out_k = rows_k · vector.
struct RowDots {
  const double *rows, *vector;  // count × d, d
  index_t d;
  double* out;
  __device__ void operator()(std::int64_t k) const {
    double sum = 0;
    for (index_t c = 0; c < d; ++c) sum = fma(rows[k * d + c], vector[c], sum);
    out[k] = sum;
  }
};

/// out_i = ‖rows_i‖².
struct SquaredLengths {
  const double* rows;
  index_t d;
  double* out;
  __device__ void operator()(std::int64_t i) const {
    double square = 0;
    for (index_t e = i * d; e < (i + 1) * d; ++e) square = fma(rows[e], rows[e], square);
    out[i] = square;
  }
};

template <class S>
struct CopyRows {
  View<const S> from;
  double* to;
  __device__ void operator()(std::int64_t e) const {
    to[e] = static_cast<double>(from.data[e / from.cols * from.stride + e % from.cols]);
  }
};

/// to (rows × cols, contiguous) = the rows of a view, in double.
template <class S>
void copy_rows(const Stream& on, View<const S> from, double* to) {
  for_each(on, "copy_rows", from.rows * from.cols, CopyRows<S>{from, to});
}

/// Rows in double, contiguous, to a view.
template <class S>
struct Narrow {
  const double* from;
  View<S> to;
  __device__ void operator()(std::int64_t e) const {
    to.data[e / to.cols * to.stride + e % to.cols] = static_cast<S>(from[e]);
  }
};

}  // namespace alphacl::cuda
