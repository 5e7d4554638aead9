// Two views of the samples as the operations of the covariance take them: x without its mean, and δ = x − x'.
#pragma once

#include "covariance/gram.h"
#include "importances/importance.h"
#include "runtime/elementwise.h"

namespace alphacl::cuda {

/// N × d each, contiguous, in double.
struct CentredViews {
  index_t n, d;
  const double *x, *delta;
};

template <class S>
struct RowsAlone {
  View<const S> x;
  RowsAlone from(int) const { return *this; }
  __device__ int rows(int) const { return static_cast<int>(x.rows); }
  __device__ double left(int, int, int) const { return 1; }
  __device__ double right(int, int row, int b) const { return static_cast<double>(x.data[row * x.stride + b]); }
};

template <class S>
struct Centre {
  View<const S> x, x_aug;
  const double* mean;
  double *centred, *delta;
  __device__ void operator()(std::int64_t e) const {
    const index_t i = e / x.cols, c = e % x.cols;
    const double own = static_cast<double>(x.data[i * x.stride + c]);
    centred[e] = own - mean[c];
    delta[e] = own - static_cast<double>(x_aug.data[i * x_aug.stride + c]);
  }
};

template <class S>
CentredViews centred_views(const Stream& on, View<const S> x, View<const S> x_aug) {
  const index_t n = x.rows, d = x.cols;
  double* const mean = on.memory.take<double>(d);
  double *const centred = on.memory.take<double>(n * d), *const delta = on.memory.take<double>(n * d);
  const GramShape row{1, static_cast<int>(d), false, gram_groups(n)};
  gram(on, RowsAlone<S>{x}, row, 1, 1.0 / static_cast<double>(n), mean);
  for_each(on, "centre", n * d, Centre<S>{x, x_aug, mean, centred, delta});
  return {n, d, centred, delta};
}

/// The Laplacian form: l_i = Σ_j (α_ij + α_ji)(x_i − x_j) and R, for the centred x.
struct LaplacianForm {
  const double *l, *row_sum;
};

template <class S>
LaplacianForm laplacian_form(const Stream& on, const CentredViews& views, const Importance<S>& alpha) {
  double* const l = on.memory.take<double>(views.n * views.d);
  double* const row_sum = on.memory.take<double>(views.n);
  alpha.laplacian(on, views.x, views.d, l, row_sum);
  return {l, row_sum};
}

}  // namespace alphacl::cuda
