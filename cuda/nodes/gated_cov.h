// The contrastive covariances of gated nodes.
#pragma once

#include "alphacl/activation.h"
#include "importances/importance.h"

namespace alphacl::cuda {

/// The importance of every node: shared by all, or Gaussian in each node's own output h(w_kᵀx0_i).
template <class S>
struct NodeImportance {
  const Importance<S>* shared;  // null: Gaussian in the node's output
  double tau = 1;
  View<const S> x0 = {nullptr, 0, 0, 0};  // null: x itself
};

/// out_k (d × d, k-th of K; contiguous) = A(w_k) = C_α[x h'(w_kᵀx)], weights: K × d. Node by node, each the covariance
/// of its gated data: K times the cost of contrastive_cov, memory 4Nd doubles for all.
template <class S>
void gated_cov(const Stream& on, View<const S> x, View<const S> x_aug, View<const S> weights, const Activation& h,
               const NodeImportance<S>& alpha, S* out);

}  // namespace alphacl::cuda
