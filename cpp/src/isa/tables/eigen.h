// Kernels of the eigenvalue iterations: products of packed symmetric matrices, Krylov bases, tridiagonal matrices.
#pragma once

#include "alphacl/view.h"

namespace alphacl {

/// Rows of a panel of a packed symmetric matrix. Vectors are padded with zeros to a multiple of it.
constexpr index_t symmetric_panel = 16;

/// Symmetric matrices of type S. n = d rounded up to a multiple of symmetric_panel.
template <class S>
struct PackKernels {
  /// Packs A, of which the lower triangle is read: as a square (n² entries) or as panels of it (n (n + 16) / 2).
  void (*pack_symmetric)(const S* a, index_t stride, index_t d, bool square, S* out);
  /// The largest magnitude; NaN when anything is not finite.
  S (*peak_of)(const S* a, index_t count);
};

/// y = A v of a packed A of type S, computed in T.
template <class T, class S>
struct ProductKernels {
  void (*square_product)(const S* a, index_t n, const T* v, T* y);
  void (*packed_product)(const S* a, index_t n, const T* v, T* y);
};

/// Bases of `rows` vectors, ld (a multiple of symmetric_panel) apart.
template <class T>
struct BasisKernels {
  /// h = Q w; returns ‖w‖².
  double (*project)(const T* basis, index_t ld, index_t rows, const T* w, double* h);
  /// w −= Qᵀ h; returns the new ‖w‖².
  double (*subtract)(const T* basis, index_t ld, index_t rows, const double* h, T* w);
};

/// A symmetric tridiagonal T: m diagonal entries `alpha`, m − 1 off-diagonal ones `beta`, all of these positive.
struct TridiagonalKernels {
  /// The largest eigenvalue, sought downwards from `guess` if that lies above it. *last: the last entry of its unit
  /// eigenvector, at most a tenth too large, or 0 where it is not known. scratch: 2m.
  double (*top)(const double* alpha, const double* beta, index_t m, double guess, double* last, double* scratch);
  /// s (m) = the unit eigenvector of the eigenvalue `top`, exact in its small entries too. Its residual is at most
  /// `enough`, or what two steps of inverse iteration leave. scratch: m.
  void (*top_vector)(const double* alpha, const double* beta, index_t m, double top, double enough, double* s,
                     double* scratch);
};

}  // namespace alphacl
