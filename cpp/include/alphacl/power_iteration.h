// The largest algebraic eigenpair of each of many symmetric matrices, given as arrays or only by their products.
#pragma once

#include <cstdint>

#include "alphacl/eigen_iteration.h"

namespace alphacl {

struct PowerOptions {
  TopOptions top;
  std::uint64_t seed;  // start vectors depend on it and on the index of the matrix alone
};

/// B matrices d × d; only the lower triangle (with the diagonal) is read.
template <class S>
struct Matrices {
  const S* data;
  index_t count, size;                // B, d
  index_t matrix_stride, row_stride;  // elements
};

/// The result arrays, contiguous. gap = λ1 − λ2 (+inf for d = 1); null: not computed.
template <class S>
struct TopEigenpairs {
  S* eigenvalue;
  S* eigenvector;  // B × d
  S* gap;
  S* residual;  // of the λ and v that are returned
  std::int64_t* n_iter;
  bool* converged;
};

/// The top eigenpairs of B matrices. Each matrix is packed into the cache of one core and stays there until it has
/// converged. `v0`: B × d start vectors, finite and not 0, or data null: random ones. A matrix that is not finite gives
/// NaN. The gap comes from a second Lanczos run in the orthogonal complement of v. Cost per product: d² multiply-adds
/// and d²/2 entries from cache; Lanczos adds 2jd at step j. Memory per thread: d²/2 + min(d, 256)·d numbers.
template <class S>
void power_iteration(const Matrices<S>& a, View<const S> v0, const PowerOptions& options, const TopEigenpairs<S>& out);

/// K symmetric d × d matrices known by their products alone.
template <class T>
class BatchedOperator {
 public:
  virtual ~BatchedOperator() = default;
  virtual index_t count() const = 0;  // K
  virtual index_t size() const = 0;   // d
  /// Row i of out = A_k (row i of v), k = active[i], for i in [0, v.rows). `active` rises.
  virtual void apply(View<const T> v, const index_t* active, View<T> out) const = 0;
};

/// The top eigenpairs of all A_k in lock-step: each step is one product of the operator over the matrices that have not
/// converged. Residuals are as exact as the operator's products. Memory: K · min(d, basis) · d numbers, at most about
/// 128 MiB unless a basis of 16 vectors takes more.
template <class T>
void power_iteration(const BatchedOperator<T>& a, View<const T> v0, const PowerOptions& options,
                     const TopEigenpairs<T>& out);

/// The largest eigenvalue of P A_k P on the complement of the unit vector in row k of `apart`, P = I − apart apartᵀ, by
/// Lanczos: −inf for d = 1, where the complement is empty, NaN where a product is not finite. sizes: lower bounds of
/// the K norms ‖A_k‖, beside which P A_k P may be small.
template <class T>
void top_eigenvalue_apart(const BatchedOperator<T>& a, View<const T> apart, const T* sizes, const PowerOptions& options,
                          T* eigenvalue, bool* converged);

}  // namespace alphacl
