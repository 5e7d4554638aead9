// Literal sums over all pairs, from the differences x_i − x_j: the last resort where the Laplacian form cancels even in
// double, because α joins only samples that are ten or more times closer to each other than the data is wide. Private
// to the core.
#pragma once

#include "alphacl/importance.h"

namespace alphacl {

/// out (d × d) = Σ_ij α_ij [(x_i − x_j)(x_i − x_j)ᵀ − δ_i δ_iᵀ]. Time O(N²) and d² operations for every pair with α_ij
/// ≠ 0; memory O(N + d²).
template <class S>
void covariance_of_differences(View<const S> x, View<const S> x_aug, const Importance<double>& alpha, double* out);

/// The trace of that matrix; d operations a pair.
template <class S>
double trace_of_differences(View<const S> x, View<const S> x_aug, const Importance<double>& alpha);

/// out (d) = Σ_ij α_ij [(x_i − x_j)((x_i − x_j)·v) − δ_i (δ_i·v)], that matrix times v; 2d operations a pair.
void product_of_differences(View<const double> x, View<const double> x_aug, const Importance<double>& alpha,
                            const double* v, double* out);

/// grad_i = Σ_j (α_ij + α_ji)(x_i − x_j) − r_i δ_i and grad_aug_i = r_i δ_i; d operations a pair, memory O(N + d).
template <class S>
void gradient_of_differences(View<const S> x, View<const S> x_aug, const Importance<double>& alpha, View<S> grad,
                             View<S> grad_aug);

}  // namespace alphacl
