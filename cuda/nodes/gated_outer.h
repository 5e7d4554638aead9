// Weighted outer products of the samples for many nodes.
#pragma once

#include "runtime/stream.h"

namespace alphacl::cuda {

/// out_k (d × d, k-th of K; contiguous) = Σ_i ω_ik x_i x_iᵀ, ω: N × K. Terms of weight 0 cost nothing. N d²
/// multiply-adds in double per node; memory: at most 2^26 indices, or N, and 256 MiB of partial
/// sums.
template <class S>
void gated_outer(const Stream& on, View<const S> x, View<const S> omega, S* out);

}  // namespace alphacl::cuda
