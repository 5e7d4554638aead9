// contrastive_cov and energy: the two sums over all pairs, and the products behind their gradients.
#pragma once

#include "alphacl/importance.h"

namespace alphacl {

/// out (d × d) = C_α[x] = 1/(2N²) Σ_ij α_ij [(x_i − x_j)(x_i − x_j)ᵀ − (x_i − x'_i)(x_i − x'_i)ᵀ],
/// from its Laplacian form; exactly symmetric. Partial sums are added up in double. float32 data is computed again in
/// float64 where the Laplacian form cancels so much that float32 products do not suffice (precision.h). `alpha` has the
/// type of the data.
template <class S>
void contrastive_cov(View<const S> x, View<const S> x_aug, const Importance<S>& alpha, View<S> out);

/// ½ tr C_α[f]; the matrix C is not formed.
template <class S>
double energy(View<const S> f, View<const S> f_aug, const Importance<S>& alpha);

/// Both derivatives follow from grad_i = Σ_j (α_ij + α_ji)(x_i − x_j) − r_i (x_i − x'_i) and grad_aug_i = r_i (x_i −
/// x'_i), r = α1. Two products α y, one where α is symmetric; memory O(N d).
template <class S>
void laplacian_product(View<const S> x, View<const S> x_aug, const Importance<S>& alpha, View<S> grad,
                       View<S> grad_aug);
template <>
void laplacian_product<float>(View<const float>, View<const float>, const Importance<float>&, View<float>, View<float>);
template <>
void laplacian_product<double>(View<const double>, View<const double>, const Importance<double>&, View<double>,
                               View<double>);

/// The rows of laplacian_product() times P = Σ_k w_k v_k v_kᵀ, v_k the rows of `vectors` (K × d), from products α y of
/// the K columns y = x v_k: with a unit eigenvector of C and w = 1/N² the gradient of its eigenvalue. Beside those
/// products 4 N d K multiply-adds; memory 4 N K numbers, and 256 d doubles for each worker.
template <class S>
void laplacian_along(View<const S> x, View<const S> x_aug, const Importance<S>& alpha, View<const S> vectors,
                     const double* weights, View<S> grad, View<S> grad_aug);
template <>
void laplacian_along<float>(View<const float>, View<const float>, const Importance<float>&, View<const float>,
                            const double*, View<float>, View<float>);
template <>
void laplacian_along<double>(View<const double>, View<const double>, const Importance<double>&, View<const double>,
                             const double*, View<double>, View<double>);

}  // namespace alphacl
