// The contrastive covariance, its trace, and the gradients of both and of eigenvalues, on a GPU.
//
// Everything is computed in double, from the Laplacian form of the importance (importances/importance.h), whatever the
// type of the data. Cost: that of α and 4Nd² (contrastive_cov) or 4Nd operations; memory 4Nd doubles and
// the partial sums of sums/gram.h.
#pragma once

#include "importances/importance.h"

namespace alphacl::cuda {

/// out (d × d, contiguous) = 1/(2N²) (Σ_i x_i l_iᵀ − Σ_i R_i δ_i δ_iᵀ), exactly symmetric.
template <class S>
void contrastive_cov(const Stream& on, View<const S> x, View<const S> x_aug, const Importance<S>& alpha, S* out);

/// *out = 1/(4N²) Σ_i (x_i · l_i − R_i ‖δ_i‖²).
template <class S>
void energy(const Stream& on, View<const S> x, View<const S> x_aug, const Importance<S>& alpha, double* out);

/// grad_i = l_i − R_i δ_i and grad_aug_i = R_i δ_i.
template <class S>
void laplacian_product(const Stream& on, View<const S> x, View<const S> x_aug, const Importance<S>& alpha, View<S> grad,
                       View<S> grad_aug);

/// The rows of laplacian_product() times Σ_k w_k v_k v_kᵀ, v_k the rows of `vectors`, w on the device: the Laplacian of
/// 2k columns alone (two doubles for a number), and 20Ndk operations; memory 8Nk doubles.
template <class S>
void laplacian_along(const Stream& on, View<const S> x, View<const S> x_aug, const Importance<S>& alpha,
                     View<const S> vectors, const double* weights, View<S> grad, View<S> grad_aug);

}  // namespace alphacl::cuda
