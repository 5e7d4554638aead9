// A layer of K nodes: every node has its own gated data and its own contrastive covariance.
#pragma once

#include "alphacl/activation.h"
#include "alphacl/importance.h"

namespace alphacl {

/// The importance of every node: shared by all, or Gaussian in each node's own output h(w_kᵀx0_i).
template <class S>
struct NodeImportance {
  const Importance<S>* shared;  // null: Gaussian in the node's output
  double tau = 1, tol = 0;
  View<const S> x0 = {nullptr, 0, 0, 0};  // null: x itself
};

/// out_k (d × d, k-th of K; contiguous) = Σ_i ω_ik x_i x_iᵀ, ω: N × K. Terms of weight 0 cost nothing. N d²
/// multiply-adds per node; memory: a few matrices of d² per thread.
template <class S>
void gated_outer(View<const S> x, View<const S> omega, S* out);

/// out_k (d × d, k-th of K; contiguous) = A(w_k) = C_α[x h'(w_kᵀx)], weights: K × d.
/// The gated rows of both views go through the sink of contrastive_cov (covariance/gram_sink.h), which serves every
/// activation. Rows whose gates are both closed cost nothing: 2 N d² operations per node times the share of rows with
/// an open gate.
template <class S>
void gated_cov(View<const S> x, View<const S> x_aug, View<const S> weights, const Activation& h,
               const NodeImportance<S>& alpha, S* out);

}  // namespace alphacl
