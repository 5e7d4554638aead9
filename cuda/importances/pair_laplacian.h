// l_i = Σ_j β_ij (x_i − x_j), β = α + αᵀ: by products where these keep the digits, else from the differences.
//
// l_i = (Σ_j β_ij) x_i − Σ_j β_ij x_j is a product of matrices, at a quarter of the time of differences, which tensor
// cores do not have; but of two large terms, where samples lie close together and far from others. So each column asks
// how large its terms have been, on the device, and those that have lost digits are computed again. A launch for no
// column ends at once.
#pragma once

#include <cmath>

#include "alphacl/precision.h"
#include "importances/importance.h"
#include "importances/pair_products.h"

namespace alphacl::cuda {

/// l holds Σ_j β_ij x_j before, l_i after.
struct JoinTerms {
  const double *degree, *x;
  index_t d;
  double* l;
  __device__ void operator()(std::int64_t e) const { l[e] = fma(degree[e / d], x[e], -l[e]); }
};

/// Rows 1 and, for each column, the terms of Σ_i |l_i| and of Σ_i |x_i l_i|, then of the bounds of what these sums are
/// differences of: with b_i = Σ_j |β_ij|, Σ_ij |β_ij| (|x_i| + |x_j|) = Σ_i 2b_i |x_i|, and with a factor |x_i| at most
/// Σ_i 2b_i x_i².
struct LaplacianSizes {
  Samples x;
  const double *weight, *l;
  LaplacianSizes from(int) const { return *this; }
  __device__ int rows(int) const { return static_cast<int>(x.n); }
  __device__ double left(int, int, int) const { return 1; }
  __device__ double right(int, int row, int b) const {
    const int which = b / static_cast<int>(x.d);
    const index_t e = row * x.d + b % static_cast<int>(x.d);
    const double size = fabs(which < 2 ? l[e] : 2 * weight[row] * x.centred[e]);
    return which % 2 == 0 ? size : size * fabs(x.centred[e]);
  }
};

/// out = 1 for columns that have lost digits, or that are not finite; else 0.
struct ColumnLost {
  const double* sizes;  // 4 × d
  index_t d;
  double limit;
  double* out;
  __device__ void operator()(std::int64_t c) const {
    const bool kept = sizes[2 * d + c] <= limit * sizes[c] && sizes[3 * d + c] <= limit * sizes[d + c];
    out[c] = kept ? 0 : 1;
  }
};

/// For results of type S.
template <class S, class Entries>
void pair_laplacian(const Stream& on, const PairFeatures& f, const Entries& entries, const Samples& x, double* l,
                    double* row_sum, const PairPlan& plan) {
  const int d = static_cast<int>(x.d);
  double *const degree = on.memory.take<double>(2 * x.n), *const weight = degree + x.n;
  double *const sizes = on.memory.take<double>(5 * x.d), *const lost = sizes + 4 * x.d;
  const PairOperand<double, double> centred{x.centred, x.d, d, l, x.d}, raw{x.raw, x.d, d, l, x.d};
  multiply_pairs<PairWork::laplacian>(on, f, entries, centred, plan, nullptr, row_sum, degree, weight);
  for_each(on, "join_terms", x.n * x.d, JoinTerms{degree, x.centred, x.d, l});
  gram(on, LaplacianSizes{x, weight, l}, GramShape{1, 4 * d, false, gram_groups(x.n)}, 1, 1.0, sizes);
  // The errors of samples that are alike are alike, and Σ_i x_i l_i adds them up: its loss is the square.
  for_each(on, "column_lost", x.d, ColumnLost{sizes, x.d, std::sqrt(wide_limits<S>.minuend), lost});
  multiply_pairs<PairWork::differences>(on, f, entries, raw, plan, lost, nullptr);
}

}  // namespace alphacl::cuda
