// The Gaussian importances of many nodes, each in the node's own outputs: their Laplacians.
#pragma once

#include "runtime/stream.h"

namespace alphacl::cuda {

/// Column k of the arrays (N × K, K at most 65 535) belongs to node k. r_i = Σ_j α_ij and t_i = 2 Σ_j α_ij (a_i − a_j),
/// α_ij = exp(−(o_i − o_j)²/(2τ)). N² exponentials a node, some 40 operations in double each; bytes: 16 N for each 256
/// samples, through L2.
void node_gaussian(const Stream& on, const double* outputs, const double* a, index_t n, index_t nodes, double tau,
                   double* r, double* t);

}  // namespace alphacl::cuda
