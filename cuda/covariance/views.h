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

// raw_i = g_i x_i and delta_i = g_i x_i − g'_i x'_i; g null: 1.
template <class S>
struct GatedDifference {
  View<const S> x, x_aug;
  const double *gates, *gates_aug;
  double *raw, *delta;
  __device__ void operator()(std::int64_t e) const {
    const index_t i = e / x.cols, c = e % x.cols;
    const double own = static_cast<double>(x.data[i * x.stride + c]);
    const double other = static_cast<double>(x_aug.data[i * x_aug.stride + c]);
    const double gate = gates == nullptr ? 1 : gates[i], gate_aug = gates == nullptr ? 1 : gates_aug[i];
    raw[e] = gate * own;
    delta[e] = gate == gate_aug ? gate * (own - other) : gate * own - gate_aug * other;
  }
};

struct Centre {
  const double *raw, *mean;
  index_t d;
  double* centred;
  __device__ void operator()(std::int64_t e) const { centred[e] = raw[e] - mean[e % d]; }
};

/// The samples of rows that lie in `raw` (N × d), with a copy without their mean.
inline Samples centred_samples(const Stream& on, const double* raw, index_t n, index_t d) {
  double* const mean = on.memory.take<double>(d);
  double* const centred = on.memory.take<double>(n * d);
  column_sums(on, View<const double>{raw, n, d, d}, 1.0 / static_cast<double>(n), mean);
  for_each(on, "centre", n * d, Centre{raw, mean, d, centred});
  return {n, d, raw, centred, mean};
}

/// gates, gates_aug: N each, h' of every sample of both views, or null for 1.
template <class S>
CentredViews centred_views(const Stream& on, View<const S> x, View<const S> x_aug, const double* gates = nullptr,
                           const double* gates_aug = nullptr) {
  const index_t n = x.rows, d = x.cols;
  double *const raw = on.memory.take<double>(2 * n * d), *const delta = raw + n * d;
  for_each(on, "gated_difference", n * d, GatedDifference<S>{x, x_aug, gates, gates_aug, raw, delta});
  return {centred_samples(on, raw, n, d), delta};
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
