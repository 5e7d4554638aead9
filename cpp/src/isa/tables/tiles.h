// Tiles of radial and of given importances.
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
  // Normalised: entries are share_i exp((nearest_i − q_ij^(p/2))/τ), nearest_i the least of its row, from which what
  // lies near it is subtracted exactly; share_i 1 over their sum. Null: not normalised.
  const S *nearest_i, *share_i;
  const S *nearest_j, *share_j;  // also given: the sum of that and of the same with j, a tile of α + αᵀ
  index_t ni, nj;
  index_t first;  // row i starts at column max(0, i + first); what lies before is written as 0
  double power;   // p
  S inv_tau;
  T factor;  // 2 for a tile of α + αᵀ of a symmetric α, else 1
  T* out;    // row stride ld_out
  index_t ld_out;
  double* row_sum;  // += sums of the rows of the tile, or null
  double* col_sum;  // += sums of its columns
  S* scratch_s;     // nj
  T* scratch_t;     // nj
};

/// One tile of α + αᵀ of a given α: out = α_IJ + (α_JI)ᵀ, and the sums that the Laplacian form needs.
template <class T, class S>
struct DenseTile {
  const S* a;   // α_IJ, ni × nj
  const S* at;  // α_JI, nj × ni
  index_t ld_a, ld_at;
  index_t ni, nj;
  index_t first;  // as above
  T* out;
  index_t ld_out;
  double* beta_row;    // += row sums of out
  double* beta_col;    // += column sums of out
  double* alpha_row;   // += row sums of α_IJ (over the columns that count)
  double* alpha_col;   // += row sums of α_JI, that is, indexed by the columns of the tile
  const T* probe;      // nj
  double* probed_row;  // += out · probe
  T* scratch;          // 2·nj
};

/// Sums of the rows of a radial tile, running: (nearest, sum) stand for sum · e^(−nearest/τ), nearest the least of the
/// q^(p/2) seen, infinite at first. Column `skip + i` of row i is left out.
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

/// Distances of type S, α of type T.
template <class T, class S>
struct RadialKernels {
  /// Whether any entry of the tile is not 0.
  bool (*tile)(const RadialTile<T, S>&);
};

template <class S>
struct DistanceKernels {
  void (*radial_stats)(const RadialStats<S>&);
};

/// Distances from differences, where products are not exact enough; in double.
struct DifferenceKernels {
  /// dot[i·ld + j] = −½‖f_i − f_j‖², f_i: rows of `fi` (ni × m, row stride m), columns j of `fjt` (m × nj, row stride
  /// ld_fjt).
  void (*negative_half_distance)(const double* fi, index_t ni, index_t m, const double* fjt, index_t ld_fjt, index_t nj,
                                 double* dot, index_t ld);
  /// ½‖a − b‖² of m numbers, to the same bits as in a tile of pairs.
  double (*half_square)(const double* a, const double* b, index_t m);
};

}  // namespace alphacl
