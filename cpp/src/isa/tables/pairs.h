// Tiles of scores between samples, and what losses make of them.
#pragma once

#include "alphacl/pair_form.h"
#include "alphacl/view.h"

namespace alphacl {

/// One tile of scores t_ij = scale · min(f_i·g_j − half_i − half_j, ceiling), and what is made of it.
template <class T>
struct PairTile {
  T* tile;  // ni × nj products f_i·g_j, row stride ld; overwritten
  index_t ld;
  index_t ni, nj;
  const T *half_i, *half_j;  // ½‖f‖² for distances, else zeros
  T scale, ceiling;
  index_t skip[3];  // columns skip[·] + i of row i, such as the pair of a sample with itself, are left out
  index_t first;    // row i starts at column max(0, i + first); what lies before is written as 0
  PairForm form;
  T* scratch;  // 4·nj
  /// Rows of the features as given, or null. Where the argument x of a form with a kink lies within
  /// doubt · scale · (half_i + half_j) of the kink, the score is taken from their differences.
  const T *given_i, *given_j;
  index_t features;
  T doubt;
};

/// Log-sum-exp of rows and columns, running: (peak, sum) stand for sum · e^peak. Columns may be null.
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

/// The tile becomes row_weight_i ψ'(row_i + t_ij) + col_weight_j ψ'(col_j + t_ij). Columns may be null.
/// e^x: row and col are the logarithms of the normalisers, or, when `shared`, weights are those beside
/// e^(t_ij − shift) and row and col are not read.
template <class T>
struct PairWeights {
  const T *row, *col, *row_weight, *col_weight;
  const T *row_low, *col_low;  // of forms with a kink: x_ij = low_i + (row_i + t_ij)
  bool shared;
  T shift;
  double *sum_i, *sum_j;  // += sums of the tile's rows and columns, or null
  double *own_i, *own_j;  // += sums over the row of the first term, over the column of the second; null with sum_i
};

template <class T>
struct PairKernels {
  void (*log_sums)(const PairTile<T>&, const PairLogSums<T>&);
  void (*sums)(const PairTile<T>&, const PairSums<T>&);
  void (*weights)(const PairTile<T>&, const PairWeights<T>&);
};

}  // namespace alphacl
