// Rows of matrices: their inner products, a warp a row, and copies in double and back.
#pragma once

#include "sums/elementwise.h"

namespace alphacl::cuda {

/// out_k = rows_k · vector.
struct RowDots {
  const double *rows, *vector;  // count × d, d
  index_t d;
  double* out;
  __device__ void operator()(std::int64_t k, int lane) const {
    double sum = 0;
    for (index_t c = lane; c < d; c += 32) sum = fma(rows[k * d + c], vector[c], sum);
    sum = warp_total(sum);
    if (lane == 0) out[k] = sum;
  }
};

/// out_i = ‖rows_i‖².
struct SquaredLengths {
  const double* rows;
  index_t d;
  double* out;
  __device__ void operator()(std::int64_t i, int lane) const {
    double square = 0;
    for (index_t e = i * d + lane; e < (i + 1) * d; e += 32) square = fma(rows[e], rows[e], square);
    square = warp_total(square);
    if (lane == 0) out[i] = square;
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
