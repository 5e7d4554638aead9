// Shared by both forms of power_iteration: vector operations on the host, start vectors, evaluation of a candidate.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>

#include "alphacl/power_iteration.h"
#include "isa/tables/kernels.h"

namespace alphacl {

template <class T>
struct HostOps {
  const BasisKernels<T>* basis = &basis_kernels<T>();
  const Kernels<T>* rows = &kernels<T>();
  const TridiagonalKernels* tridiagonal = &tridiagonal_kernels();

  double project(const T* q, index_t ld, index_t count, const T* w, double* h) const {
    return basis->project(q, ld, count, w, h);
  }
  double subtract(const T* q, index_t ld, index_t count, const double* h, T* w) const {
    return basis->subtract(q, ld, count, h, w);
  }
  void scale(const T* in, index_t ld, double factor, T* out) const {
    rows->scale_row(in, static_cast<T>(factor), ld, out);
  }
  double tridiagonal_top(const double* alpha, const double* beta, index_t m, double guess, double* last,
                         double* scratch) const {
    return tridiagonal->top(alpha, beta, m, guess, last, scratch);
  }
  void tridiagonal_vector(const double* alpha, const double* beta, index_t m, double top, double enough, double* s,
                          double* scratch) const {
    tridiagonal->top_vector(alpha, beta, m, top, enough, s, scratch);
  }
};

template <class T>
using HostIteration = EigenIteration<T, HostOps<T>>;

/// Length of a vector of d entries with its padding.
inline index_t padded(index_t d) { return ceil_div(d, symmetric_panel) * symmetric_panel; }

inline std::uint64_t mixed(std::uint64_t z) {  // splitmix64
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

/// Uniform in [−1, 1), a function of (seed, matrix, which) and of the position alone; never all 0.
template <class T>
void random_start(std::uint64_t seed, index_t matrix, int which, index_t d, index_t ld, T* v) {
  constexpr std::uint64_t golden = 0x9e3779b97f4a7c15u;
  std::uint64_t state = mixed(
      mixed(seed + golden) + golden * (2 * static_cast<std::uint64_t>(matrix) + static_cast<std::uint64_t>(which) + 1));
  for (index_t j = 0; j < d; ++j) {
    state += golden;
    v[j] = static_cast<T>(static_cast<double>(static_cast<std::int64_t>(mixed(state)) | 1) * 0x1p-63);
  }
  for (index_t j = d; j < ld; ++j) v[j] = T(0);
}

/// v0 scaled to a largest magnitude of 1, so that no square of it underflows.
template <class T, class S>
void given_start(const S* v0, index_t d, index_t ld, T* v) {
  double peak = 0;
  for (index_t j = 0; j < d; ++j) peak = std::max(peak, std::fabs(static_cast<double>(v0[j])));
  for (index_t j = 0; j < d; ++j) v[j] = static_cast<T>(static_cast<double>(v0[j]) / peak);
  for (index_t j = d; j < ld; ++j) v[j] = T(0);
}

/// x = the candidate with length 1 and the precision of S. The first of its entries of largest magnitude is positive:
/// the sign is chosen after the rounding, which makes ties.
template <class S, class T, class X>
void rounded_unit(const T* candidate, index_t d, X* x) {
  double square = 0;
  for (index_t j = 0; j < d; ++j) square += static_cast<double>(candidate[j]) * static_cast<double>(candidate[j]);
  const double factor = 1 / std::sqrt(square > 0 ? square : 1);
  X peak = X(0);
  for (index_t j = 0; j < d; ++j) {
    x[j] = static_cast<X>(static_cast<S>(static_cast<double>(candidate[j]) * factor));
    if (std::fabs(x[j]) > std::fabs(peak)) peak = x[j];
  }
  for (index_t j = 0; peak < X(0) && j < d; ++j) x[j] = -x[j];
}

struct Judgement {
  double exact;     // xᵀy / xᵀx
  double value;     // `exact` rounded to S
  double residual;  // ‖y − value · x‖
  double size;      // ‖y‖
};

/// The Rayleigh quotient of x and its residual; y: the product of x.
template <class S, class X>
Judgement judgement(const X* x, const X* y, index_t d) {
  double xy = 0, xx = 0, yy = 0;
  for (index_t j = 0; j < d; ++j) {
    const double a = static_cast<double>(x[j]), b = static_cast<double>(y[j]);
    xy += a * b;
    xx += a * a;
    yy += b * b;
  }
  Judgement made{xx > 0 ? xy / xx : 0, 0, 0, std::sqrt(yy)};
  made.value = static_cast<double>(static_cast<S>(made.exact));
  double square = 0;
  for (index_t j = 0; j < d; ++j) {
    const double r = static_cast<double>(y[j]) - made.value * static_cast<double>(x[j]);
    square += r * r;
  }
  made.residual = std::sqrt(square);
  return made;
}

/// λ1 − λ2, and 0 where rounding alone makes it negative. It stays negative where the start had no part in the top.
inline double gap_between(double first, double second, double allowed) {
  const double gap = first - second;
  return gap < 0 && gap >= -allowed ? 0 : gap;
}

template <class S>
void no_eigenpair(index_t b, index_t d, std::int64_t products, const TopEigenpairs<S>& out) {
  const S nan = std::numeric_limits<S>::quiet_NaN();
  out.eigenvalue[b] = out.residual[b] = nan;
  std::fill_n(out.eigenvector + b * d, d, nan);
  if (out.gap != nullptr) out.gap[b] = nan;
  out.n_iter[b] = products;
  out.converged[b] = false;
}

}  // namespace alphacl
