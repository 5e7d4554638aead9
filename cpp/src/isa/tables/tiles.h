// Kernels that make tiles of radial and of given importances.
#pragma once

#include "alphacl/view.h"

namespace alphacl {

/// One tile of a radial importance exp(−q^(p/2)/τ), q = ½‖f_i − f_j‖². S: type of the distances, T: of α.
template <class T, class S>
struct RadialTile {
  const S* dot;  // ni × nj products f_i·f_j, or −q itself where half_* are zero; row stride ld_dot
  index_t ld_dot;
  const S* half_i;  // ½‖f_i‖²
  const S* half_j;
  // Null, or for normalised rows: entries are share_i exp((nearest_i − q_ij^(p/2))/τ) with nearest_i the least
  // q_ij^(p/2) of row i and share_i = 1/Σ_j exp((nearest_i − q_ij^(p/2))/τ). Subtracting the nearest is exact for what
  // lies near it.
  const S *nearest_i, *share_i;
  const S *nearest_j, *share_j;  // not null: entries of α + αᵀ, this plus the same with i and j exchanged
  index_t ni, nj;
  index_t first;  // row i starts at column max(0, i + first); entries before it are written as 0
  double power;   // p
  S inv_tau;
  T factor;  // 2 for a tile of α + αᵀ where α is symmetric, else 1
  T* out;    // row stride ld_out
  index_t ld_out;
  double* row_sum;  // += sums of the rows of the tile, or null
  double* col_sum;  // += sums of its columns
  S* scratch_s;     // nj
  T* scratch_t;     // nj
};

/// One tile of α + αᵀ of a given α, out = α_IJ + (α_JI)ᵀ, and its sums.
template <class T, class S>
struct DenseTile {
  const S* a;   // α_IJ, ni × nj
  const S* at;  // α_JI, nj × ni
  index_t ld_a, ld_at;
  index_t ni, nj;
  index_t first;  // row i starts at column max(0, i + first); entries before it are written as 0
  T* out;
  index_t ld_out;
  double* beta_row;    // += row sums of out
  double* beta_col;    // += column sums of out
  double* alpha_row;   // += row sums of α_IJ, over the columns from the start of the row on
  double* alpha_col;   // += row sums of α_JI, from the same entries: indexed by the columns of the tile
  const T* probe;      // nj
  double* probed_row;  // += out · probe
  T* scratch;          // 2·nj
};

/// Running sums of the rows of radial tiles: the sum so far is sum · e^(−nearest/τ), nearest the least q^(p/2) seen,
/// infinite at first. Column `skip + i` of row i is left out.
template <class S>
struct RadialStats {
  const S* dot;
  index_t ld_dot;
  const S* half_i;
  const S* half_j;
  index_t ni, nj;
  index_t skip;
  double power;
  S inv_tau;
  S* nearest;
  double* sum;
  S* scratch;  // nj
};

/// S: type of the distances, T: of α.
template <class T, class S>
struct RadialKernels {
  /// Whether any entry of the tile is not 0.
  bool (*tile)(const RadialTile<T, S>&);
};

template <class S>
struct DistanceKernels {
  void (*radial_stats)(const RadialStats<S>&);
};

/// Distances from differences, in double, where products are not exact enough.
struct DifferenceKernels {
  /// dot[i·ld + j] = −½‖f_i − f_j‖², f_i: rows of `fi` (ni × m, row stride m), columns j of `fjt` (m × nj, row stride
  /// ld_fjt).
  void (*negative_half_distance)(const double* fi, index_t ni, index_t m, const double* fjt, index_t ld_fjt, index_t nj,
                                 double* dot, index_t ld);
  /// ½‖a − b‖² of m numbers: the same bits as where a tile of pairs is settled (isa/pairs.h).
  double (*half_square)(const double* a, const double* b, index_t m);
};

}  // namespace alphacl
