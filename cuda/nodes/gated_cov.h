// The contrastive covariances of gated nodes.
#pragma once

#include "alphacl/activation.h"
#include "alphacl/gaussian_series.h"
#include "importances/importance.h"

namespace alphacl::cuda {

/// The importance of every node: shared by all, or Gaussian in each node's own output h(w_kᵀx0_i).
template <class S>
struct NodeImportance {
  const Importance<S>* shared;  // null: Gaussian in the node's output
  double tau = 1;
  View<const S> x0 = {nullptr, 0, 0, 0};  // null: x itself
  double tol = wide_tolerance;            // as in scalar_gaussian
};

/// out_k (d × d, k-th of K; contiguous) = A(w_k) = C_α[x h'(w_kᵀx)], weights: K × d. Closed samples take no part in the
/// Gram sums. Where α is shared and has a factor of p columns, all nodes go together at K N d (d + p) multiply-adds;
/// else node by node, at the cost of contrastive_cov each. Memory: 32 bytes for each of `most_gates` samples and nodes
/// (those of one node at least), and 4Nd doubles where nodes go one by one.
template <class S>
void gated_cov(const Stream& on, View<const S> x, View<const S> x_aug, View<const S> weights, const Activation& h,
               const NodeImportance<S>& alpha, S* out, index_t most_gates = index_t{1} << 23);

}  // namespace alphacl::cuda
