// Gaussian importance of scalars with a range of many √τ. Private to the core.
#pragma once

#include "alphacl/importance.h"

namespace alphacl {

/// u: the scalars (copied). Time O(N log N + N (p + 128) q) for products with q columns, p ≈ 30 … 60, for any τ.
template <class T>
std::unique_ptr<Importance<T>> gaussian_sorted(const double* u, index_t n, double tau, double tol);

}  // namespace alphacl
