// The sums over all pairs as they stand, for what the Laplacian form cannot give: where α joins only samples that are
// hundreds of times closer to each other than the data is wide, it takes nearly all of its digits. Private to the core.
#pragma once

#include "alphacl/importance.h"

namespace alphacl {

/// What the Laplacian form in double may subtract from, in units of a result of type S: it errs by 1e-16 of that.
template <class S>
constexpr double largest_cancellation_wide = sizeof(S) == 4 ? 1e7 : 300;

/// Whether n² pairs of `width` operations each are little enough to be gone through: a second or two.
bool few_pairs(index_t n, index_t width);

/// out (d × d) = Σ_ij α_ij [(x_i − x_j)(x_i − x_j)ᵀ − δ_i δ_iᵀ]. Time O(N²) and d² operations for every pair with
/// α_ij ≠ 0; memory O(d²).
template <class S>
void covariance_of_differences(View<const S> x, View<const S> x_aug, const Importance<double>& alpha, double* out);

/// Its trace, d operations a pair.
template <class S>
double trace_of_differences(View<const S> x, View<const S> x_aug, const Importance<double>& alpha);

/// t (nodes × N) = Σ_j (α_ij + α_ji)(a_i − a_j) for every row of a. Time O(N²) for α and as much for each row.
void laplacian_of_differences(const Importance<double>& alpha, const double* a, index_t nodes, double* t);

}  // namespace alphacl
