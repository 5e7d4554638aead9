// Moments Φᵀx of a chunk of samples. Private to the core.
#pragma once

#include <algorithm>

#include "isa/tables/kernels.h"
#include "runtime/blas.h"

namespace alphacl {

/// sums (p × d) += φᵀx for n rows of φ (p each) and of x (d each), moment_chunk of them at a time. product: scratch, p
/// × d.
template <class T>
void add_moments(const T* phi, index_t p, const T* x, index_t d, index_t n, T* product, double* sums) {
  for (index_t r = 0; r < n; r += moment_chunk) {
    const index_t end = std::min(n, r + moment_chunk);
    for (index_t c = r; c < end; c += chain_rows)
      gemm<T>(Trans::yes, Trans::no, p, d, std::min(chain_rows, end - c), T(1), phi + c * p, p, x + c * d, d,
              c == r ? T(0) : T(1), product, d);
    kernels<T>().add_block(sums, d, product, d, p, d);
  }
}

}  // namespace alphacl
