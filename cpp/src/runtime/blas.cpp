// Calls to the BLAS, on one thread. No other file names it.
#include "runtime/blas.h"

#include <cblas.h>

#include "runtime/threads.h"

namespace alphacl {
namespace {

#ifdef ALPHACL_BLAS_VENDORED
#define ALPHACL_CBLAS(name) scipy_cblas_##name
#define ALPHACL_OPENBLAS(name) scipy_openblas_##name
#else
#define ALPHACL_CBLAS(name) cblas_##name
#define ALPHACL_OPENBLAS(name) openblas_##name
#endif

CBLAS_TRANSPOSE code(Trans t) { return t == Trans::yes ? CblasTrans : CblasNoTrans; }

}  // namespace

// Weak symbols: a system BLAS that is not an OpenBLAS lacks them.
extern "C" {
__attribute__((weak)) void ALPHACL_OPENBLAS(set_num_threads)(int);
__attribute__((weak)) int ALPHACL_OPENBLAS(get_num_threads)(void);
__attribute__((weak)) char* ALPHACL_OPENBLAS(get_config)(void);
}

namespace {
const bool one_thread = [] {
  // A system OpenBLAS built on OpenMP would set all that asks OpenMP to one thread too.
  const int threads = openmp_threads();
  if (ALPHACL_OPENBLAS(set_num_threads) != nullptr) ALPHACL_OPENBLAS(set_num_threads)(1);
  if (openmp_threads() != threads) set_openmp_threads(threads);
  return true;
}();
}  // namespace

std::string blas_config() {
  return ALPHACL_OPENBLAS(get_config) != nullptr ? ALPHACL_OPENBLAS(get_config)() : "system BLAS";
}
int blas_threads() { return ALPHACL_OPENBLAS(get_num_threads) != nullptr ? ALPHACL_OPENBLAS(get_num_threads)() : 0; }

template <>
void gemm<float>(Trans ta, Trans tb, index_t m, index_t n, index_t k, float scale, const float* a, index_t lda,
                 const float* b, index_t ldb, float keep, float* c, index_t ldc) {
  if (m == 0 || n == 0) return;
  ALPHACL_CBLAS(sgemm)
  (CblasRowMajor, code(ta), code(tb), static_cast<int>(m), static_cast<int>(n), static_cast<int>(k), scale, a,
   static_cast<int>(lda), b, static_cast<int>(ldb), keep, c, static_cast<int>(ldc));
}

template <>
void gemm<double>(Trans ta, Trans tb, index_t m, index_t n, index_t k, double scale, const double* a, index_t lda,
                  const double* b, index_t ldb, double keep, double* c, index_t ldc) {
  if (m == 0 || n == 0) return;
  ALPHACL_CBLAS(dgemm)
  (CblasRowMajor, code(ta), code(tb), static_cast<int>(m), static_cast<int>(n), static_cast<int>(k), scale, a,
   static_cast<int>(lda), b, static_cast<int>(ldb), keep, c, static_cast<int>(ldc));
}

template <>
void syrk<double>(index_t d, index_t n, double scale, const double* a, index_t lda, double keep, double* c,
                  index_t ldc) {
  if (d == 0) return;
  ALPHACL_CBLAS(dsyrk)
  (CblasRowMajor, CblasUpper, CblasTrans, static_cast<int>(d), static_cast<int>(n), scale, a, static_cast<int>(lda),
   keep, c, static_cast<int>(ldc));
}

}  // namespace alphacl
