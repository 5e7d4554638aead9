// Kernels of pair losses: tiles of scores between samples, their sums and their weights.
#pragma once

#include "alphacl/pair_form.h"
#include "alphacl/view.h"

namespace alphacl {

/// One tile of scores t_ij = scale · min(f_i·g_j − half_i − half_j, ceiling).
template <class T>
struct PairTile {
  T* tile;  // ni × nj products f_i·g_j, row stride ld, which become scores; or scores, if `scored`
  index_t ld;
  bool scored;
  T* weights;  // where weights are written, row stride ld_weights: `tile` or memory apart from it
  index_t ld_weights;
  index_t ni, nj;
  const T *half_i, *half_j;  // ½‖f‖² for distances, else zeros
  T scale, ceiling;
  index_t skip[3];  // columns skip[·] + i of row i are left out, such as the pair of a sample with itself
  index_t first;    // row i starts at column max(0, i + first); entries before it are written as 0
  PairForm form;
  T* scratch;  // 4·nj
  /// The features (as given, or centred), or null. Where ψ has a kink and its argument x lies within doubt · scale ·
  /// (half_i + half_j) of it, the score is computed from f_i − f_j; for other ψ, where the score is that near to 0.
  const T *given_i, *given_j;
  index_t features;
  T doubt;
};

/// Running log-sum-exp of rows and columns: the sum so far is sum · e^peak. Columns may be null.
template <class T>
struct PairLogSums {
  T *row_peak, *col_peak;
  double *row_sum, *col_sum;
};

/// Σ_j ψ(row_i + t_ij) is added to row_sum_i, and Σ_i ψ(col_j + t_ij) to col_sum_j. Columns may be null.
template <class T>
struct PairSums {
  const T *row, *col;
  double *row_sum, *col_sum;
};

/// The weights of a tile: row_weight_i ψ'(row_i + t_ij) + col_weight_j ψ'(col_j + t_ij). col_weight may be null;
/// col and col_low may be there without it, and then only decide which distances are settled. For e^x, row and col are
/// logarithms of normalisers and are subtracted; or, when `shared`, the weights are (row_weight_i + col_weight_j)
/// e^(t_ij − shift), and row and col are not read.
template <class T>
struct PairWeights {
  const T *row, *col, *row_weight, *col_weight;
  const T *row_low, *col_low;  // for ψ with a kink: x_ij = low_i + (row_i + t_ij)
  bool shared;
  T shift;
  double *sum_i, *sum_j;  // += sums of the tile's rows and columns, or null
  double *own_i, *own_j;  // += row sums of the first term, column sums of the second; null with sum_i
};

template <class T>
struct PairKernels {
  void (*log_sums)(const PairTile<T>&, const PairLogSums<T>&);
  void (*sums)(const PairTile<T>&, const PairSums<T>&);
  void (*weights)(const PairTile<T>&, const PairWeights<T>&);
};

}  // namespace alphacl
