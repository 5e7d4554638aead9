// Weighted outer products of the samples for many nodes.
#pragma once

#include "runtime/stream.h"

namespace alphacl::cuda {

/// out_k (d × d, k-th of K; contiguous) = Σ_i ω_ik x_i x_iᵀ, ω: N × K. Terms of weight 0 cost nothing. N d²
/// multiply-adds in double per node; memory: `most_indices` of open samples and `most_numbers` of partial sums (256 MiB
/// each), or as many as one node needs. How many nodes go at a time changes no bit.
template <class S>
void gated_outer(const Stream& on, View<const S> x, View<const S> omega, S* out,
                 index_t most_indices = index_t{1} << 26, index_t most_numbers = index_t{1} << 25);

}  // namespace alphacl::cuda
