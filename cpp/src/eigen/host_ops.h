// What the iteration of power_iteration is given on the CPU: operations on vectors from the tables of kernels.
#pragma once

#include <cmath>

#include "alphacl/eigen_solve.h"
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
  void put(double* at, double x) const { *at = x; }
  void negate(double* s, index_t count) const {
    for (index_t j = 0; j < count; ++j) s[j] = -s[j];
  }
  double log(double x) const { return std::log(x); }
  double hypot(double x, double y) const { return std::hypot(x, y); }
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

}  // namespace alphacl
