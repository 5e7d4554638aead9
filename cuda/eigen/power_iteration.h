// The largest algebraic eigenpair of each of many symmetric matrices.
#pragma once

#include "alphacl/power_iteration.h"
#include "runtime/stream.h"

namespace alphacl::cuda {

/// As alphacl::power_iteration over arrays: the same iteration, tolerances and random starts. One block runs one matrix
/// to its end, and nothing waits for the host. The basis is float for float matrices where tol allows it, else double;
/// sums are double. Cost per product: d² multiply-adds and d² entries of S, read through the L2 cache; Lanczos adds 4jd
/// multiply-adds in double and 4jd entries of the basis at step j. Memory per matrix: d² entries of S, min(d, 256)·d of
/// the basis; as many matrices go at a time as fit in `most_bytes`, at least one. The number of them changes no bit.
template <class S>
void power_iteration(const Stream& on, const Matrices<S>& a, View<const S> v0, const PowerOptions& options,
                     const TopEigenpairs<S>& out, index_t most_bytes = index_t{1} << 30);

}  // namespace alphacl::cuda
