// Two views of the samples as the operations of the covariance take them: x without its mean, and δ = x − x'.
#pragma once

#include "importances/importance.h"
#include "sums/elementwise.h"
#include "sums/total.h"

namespace alphacl::cuda {

struct CentredViews {
  Samples x;
  const double* delta;  // N × d
};

template <class S>
struct Centre {
  View<const S> x, x_aug;
  const double* mean;
  double *raw, *centred, *delta;
  __device__ void operator()(std::int64_t e) const {
    const index_t i = e / x.cols, c = e % x.cols;
    const double own = static_cast<double>(x.data[i * x.stride + c]);
    raw[e] = own;
    centred[e] = own - mean[c];
    delta[e] = own - static_cast<double>(x_aug.data[i * x_aug.stride + c]);
  }
};

template <class S>
CentredViews centred_views(const Stream& on, View<const S> x, View<const S> x_aug) {
  const index_t n = x.rows, d = x.cols;
  double* const mean = on.memory.take<double>(d);
  double* const raw = on.memory.take<double>(3 * n * d);
  double *const centred = raw + n * d, *const delta = centred + n * d;
  const GramShape row{1, static_cast<int>(d), false, gram_groups(n)};
  gram(on, RowsAlone<S>{x}, row, 1, 1.0 / static_cast<double>(n), mean);
  for_each(on, "centre", n * d, Centre<S>{x, x_aug, mean, raw, centred, delta});
  return {{n, d, raw, centred}, delta};
}

/// The Laplacian form: l_i = Σ_j (α_ij + α_ji)(x_i − x_j) and R, for the centred x.
struct LaplacianForm {
  const double *l, *row_sum;
};

template <class S>
LaplacianForm laplacian_form(const Stream& on, const CentredViews& views, const Importance<S>& alpha) {
  double* const l = on.memory.take<double>(views.x.n * views.x.d);
  double* const row_sum = on.memory.take<double>(views.x.n);
  alpha.laplacian(on, views.x, l, row_sum);
  return {l, row_sum};
}

}  // namespace alphacl::cuda
