// The largest algebraic eigenpair of each of many symmetric matrices.
#pragma once

#include "alphacl/power_iteration.h"
#include "runtime/stream.h"

namespace alphacl::cuda {

/// As alphacl::power_iteration over arrays: the same iteration, the same tolerances, the same random starts. One block
/// runs one matrix to its end, nothing waits for the host. Cost per product: d² multiply-adds and d² entries of S, read
/// through the L2 cache; Lanczos adds 4jd in double and 4jd entries at step j. Memory: d² + min(d, 256)·d numbers per
/// matrix, for as many at a time as fit in 1 GiB.
template <class S>
void power_iteration(const Stream& on, const Matrices<S>& a, View<const S> v0, const PowerOptions& options,
                     const TopEigenpairs<S>& out);

}  // namespace alphacl::cuda
