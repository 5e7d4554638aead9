// Cosine series of scalars: the Gaussian importance of one feature, and that of a node's outputs.
#pragma once

#include "alphacl/view.h"

namespace alphacl {

/// Harmonics of the longest series that moments, values and laplacian take.
constexpr index_t most_series_terms = 512;

/// Harmonics 1 … terms of θ = scale (u − origin), |θ| ≤ π.
struct Harmonics {
  double origin, scale;
  index_t terms;
};

/// Coefficients of two series (1 + 2·terms each): constant, then cos kθ and sin kθ in turn.
struct SeriesPair {
  const double *ones, *moments;
};

template <class T>
struct SeriesKernels {
  /// out (1 + 2·terms) += Σ_i a_i, then Σ_i a_i cos kθ_i and Σ_i a_i sin kθ_i for k = 1 … terms; a null: 1.
  void (*moments)(const T* u, const T* a, index_t n, const Harmonics& harmonics, double* out);
  /// out_i = Σ_l ones_l h_l(θ_i), h = 1, cos θ, sin θ, cos 2θ, …, in double.
  void (*values)(const T* u, index_t n, const Harmonics& harmonics, const double* ones, double* out);
  /// r_i = Σ_l ones_l h_l(θ_i), t_i = 2 (a_i r_i − Σ_l moments_l h_l(θ_i)), in double.
  void (*laplacian)(const T* u, const T* a, index_t n, const Harmonics& harmonics, const SeriesPair& series, T* t,
                    T* r);
  /// Features, for a in [0, n): out[a·ld] = c_0, then c_k cos(kθ_a), c_k sin(kθ_a), k = 1..kmax. |θ| ≤ π.
  /// coefficients: kmax + 1.
  void (*features)(const double* theta, index_t n, const double* coefficients, index_t kmax, T* out, index_t ld);
  /// The same transposed: feature l of sample a goes to out[l·ld + a].
  void (*feature_columns)(const double* theta, index_t n, const double* coefficients, index_t kmax, T* out, index_t ld);
};

}  // namespace alphacl
