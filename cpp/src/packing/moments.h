// Moments Φᵀx of a chunk of samples. Private to the core.
#pragma once

#include <algorithm>

#include "isa/tables/kernels.h"
#include "runtime/blas.h"

namespace alphacl {

/// sums (p × d) += φᵀx for n rows of φ (p each) and of x (d each), in chains of moment_chain rows. product: scratch, p
/// × d.
template <class T>
void add_moments(const T* phi, index_t p, const T* x, index_t d, index_t n, T* product, double* sums) {
  for (index_t r = 0; r < n; r += moment_chain) {
    gemm<T>(Trans::yes, Trans::no, p, d, std::min(moment_chain, n - r), T(1), phi + r * p, p, x + r * d, d, T(0),
            product, d);
    kernels<T>().add_block(sums, d, product, d, p, d);
  }
}

}  // namespace alphacl
