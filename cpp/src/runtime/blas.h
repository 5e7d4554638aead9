// The matrix products of the core: row-major, one thread, float and double.
// The only file behind this header that names the BLAS is src/runtime/blas.cpp.
#pragma once

#include <string>

#include "alphacl/view.h"

namespace alphacl {

enum class Trans : bool { no = false, yes = true };

/// c (m × n) = scale · op(a) op(b) + keep · c, op(a): m × k, op(b): k × n. Leading dimensions ≥ columns stored.
/// Arguments are those of the BLAS, in its order.
template <class T>
void gemm(Trans ta, Trans tb, index_t m, index_t n, index_t k, T scale, const T* a, index_t lda, const T* b,
          index_t ldb, T keep, T* c, index_t ldc);

/// c (d × d, upper triangle) = scale · aᵀa + keep · c, a: n × d.
template <class T>
void syrk(index_t d, index_t n, T scale, const T* a, index_t lda, T keep, T* c, index_t ldc);

/// Sets the BLAS to one thread (loops over tiles run in parallel instead); returns its description.
std::string blas_config();
/// The number of threads that the BLAS itself uses, 0 where it does not tell.
int blas_threads();

}  // namespace alphacl
