// Kernels over rows, blocks and packed panels (panels.h).
#pragma once

#include "alphacl/view.h"
#include "isa/tables/panels.h"

namespace alphacl {

/// Rows to pack: for r in [0, n) row rows[r] of x, w[r] and factors[first + r] go to row first + r, as pack_row does
/// it.
template <class T>
struct PackRows {
  const T* x;
  index_t stride_x;
  const index_t* rows;
  const T *w, *factors;
  index_t n, d, first;
  Panels<T> plain, weighted;
};

/// A tile, ni × n with row stride ld, that multiplies n ≤ most_multiplied packed rows.
template <class T>
struct LeftTile {
  const T* data;
  index_t ld, ni, n;
};

/// Some vectors over the rows of a tile and over its columns, each `stride` after the one before.
struct BothSides {
  const double *of_rows, *of_columns;
  double *to_rows, *to_columns;
  index_t stride;
};

template <class T>
struct Kernels {
  /// acc (double, row stride ld_acc) += block (T, row stride ld).
  void (*add_block)(double* acc, index_t ld_acc, const T* block, index_t ld, index_t rows, index_t cols);
  /// P, the columns of a panel.
  index_t panel;
  /// Packs one row, λ = `factor`: λx as the first row of `plain`, (w · x − y)/λ as that of `weighted`. y and the data
  /// of `weighted` may be null. Both have one stride.
  void (*pack_row)(const T* x, const T* y, T w, T factor, index_t d, Panels<T> plain, Panels<T> weighted);
  void (*pack_rows)(const PackRows<T>&);
  /// Packs at most P rows as the columns of one panel, xᵀ; zeros in the columns behind them.
  void (*pack_columns)(View<const T> x, T* panel);
  /// acc (P × P doubles per tile) += aᵀ b over n packed rows, for every tile pa ≤ pb of panels with first ≤ pb < last,
  /// column of tiles after column (packing/upper_tiles.h). Both have one stride.
  void (*gram)(Panels<const T> a, Panels<const T> b, index_t n, index_t first, index_t last, double* acc);
  /// acc += uᵀv + vᵀu, tiles as in gram(). Diagonal tiles get 2 uᵀv: only their symmetric part is right. `prefetch` may
  /// be null.
  void (*cross_gram)(Panels<const T> u, Panels<const T> v, index_t n, index_t first, index_t last, double* acc,
                     RowPrefetch* prefetch);
  /// acc (double) += Σ_r w_r x_r (x_r · signs) over n ≤ gram_chunk packed rows x_r.
  void (*probe)(Panels<const T> x, index_t n, const T* weights, const T* signs, double* acc);
  /// out (ni rows of all panels, row stride ld_out) += tile · the first n rows of `packed`. `prefetch` may be null.
  void (*multiply_tile)(const LeftTile<T>& tile, Panels<const T> packed, T* out, index_t ld_out,
                        TilePrefetch* prefetch);
  /// out += tileᵀ · packed likewise, the tile given as n × ni.
  void (*multiply_transposed)(const LeftTile<T>& tile, Panels<const T> packed, T* out, index_t ld_out);
  /// sum += x − origin, in double.
  void (*add_offsets)(const T* x, const T* origin, index_t n, double* sum);
  /// sum (cols, double) += the rows of a contiguous block.
  void (*add_block_rows)(const T* block, index_t rows, index_t cols, double* sum);
  /// out = w · in.
  void (*scale_row)(const T* in, T w, index_t n, T* out);
  /// Σ x_j · y_j in double.
  double (*dot)(const T* x, const T* y, index_t n);
  double (*dot_wide)(const T* x, const double* y, index_t n);
  /// out_r (rows ld apart) = w_r y, or where `add` that more.
  void (*outer)(const double* w, index_t rows, const T* y, index_t n, bool add, T* out, index_t ld);
  /// to_rows_k += tile · of_columns_k and to_columns_k += tileᵀ of_rows_k for k < count, in double. What is written
  /// overlaps nothing that is read.
  void (*multiply_both_ways)(const LeftTile<T>& tile, const BothSides& vectors, index_t count);
  /// out = the sum of `count` rows, one after the other in T.
  void (*sum_rows)(const T* const* rows, index_t count, index_t n, T* out);
};

/// For the rate of exponentials that benchmarks compare with.
template <class T>
struct ExpKernels {
  /// out = e^x.
  void (*values)(const T* x, index_t n, T* out);
};

}  // namespace alphacl
