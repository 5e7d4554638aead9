// Kernels over rows, blocks and packed panels.
#pragma once

#include "alphacl/view.h"
#include "isa/tables/panels.h"

namespace alphacl {

template <class T>
struct Kernels {
  /// acc (double, row stride ld_acc) += block (T, row stride ld).
  void (*add_block)(double* acc, index_t ld_acc, const T* block, index_t ld, index_t rows, index_t cols);
  /// Columns of a panel. What the Gram kernels need is packed panel by panel, row after row, `stride` rows from one
  /// panel to the next; the last panel is padded with 0.
  index_t panel;
  /// Writes λx to one row of every panel of `plain` and (w · x − y)/λ (y may be null) to one of `weighted` (may be
  /// null), λ = `factor`.
  void (*pack_row)(const T* x, const T* y, T w, T factor, index_t d, index_t stride, T* plain, T* weighted);
  /// For r in [0, n) the same of row rows[r] of x, w[r] and factors[first + r], as row `first + r` of every panel.
  void (*pack_rows)(const T* x, index_t stride_x, const index_t* rows, const T* w, const T* factors, index_t n,
                    index_t d, index_t stride, index_t first, T* plain, T* weighted);
  /// For every pair of panels pa ≤ pb, first ≤ pb < last, column by column: acc (panel × panel, double) += the product
  /// of the n rows of panel pa of `a`, transposed, with those of panel pb of `b`.
  void (*gram)(const T* a, const T* b, index_t n, index_t stride, index_t first, index_t last, double* acc);
  /// The same for uᵀv + vᵀu. Tiles pa = pb get 2 uᵀv: their symmetric part alone is right. `ahead` may be null.
  void (*cross_gram)(const T* u, const T* v, index_t n, index_t stride, index_t first, index_t last, double* acc,
                     RowPrefetch* ahead);
  /// acc (double) += Σ_r w_r x_r (x_r · signs) over n ≤ gram_chunk packed rows x_r of `count` panels.
  void (*probe)(const T* panels, index_t n, index_t stride, index_t count, const T* weights, const T* signs,
                double* acc);
  /// out (ni × count panels, row stride ld_out) += tile (ni × n, row stride ld) · the n ≤ most_multiplied rows of
  /// `count` packed panels. `ahead` may be null.
  void (*multiply_tile)(const T* tile, index_t ld, index_t ni, index_t n, const T* packed, index_t stride,
                        index_t count, T* out, index_t ld_out, TilePrefetch* ahead);
  /// The same for the transpose of a tile (n × ni).
  void (*multiply_transposed)(const T* tile, index_t ld, index_t ni, index_t n, const T* packed, index_t stride,
                              index_t count, T* out, index_t ld_out);
  /// sum += x − origin, in double.
  void (*add_offsets)(const T* x, const T* origin, index_t n, double* sum);
  /// sum (cols, double) += the rows of a contiguous block.
  void (*add_block_rows)(const T* block, index_t rows, index_t cols, double* sum);
  /// out = w · in.
  void (*scale_row)(const T* in, T w, index_t n, T* out);
  /// Σ x_j · y_j in double.
  double (*dot)(const T* x, const T* y, index_t n);
  double (*dot_wide)(const T* x, const double* y, index_t n);
  /// Real Fourier features: for a in [0, n): out[a·ld] = c_0, then c_k cos(kθ_a), c_k sin(kθ_a), k = 1..kmax.
  /// |θ| ≤ π. coefficients: kmax + 1.
  void (*fourier)(const double* theta, index_t n, const double* coefficients, index_t kmax, T* out, index_t ld);
  /// The same transposed: feature l of sample a goes to out[l·ld + a].
  void (*series_feature_columns)(const double* theta, index_t n, const double* coefficients, index_t kmax, T* out,
                                 index_t ld);
};

/// For the rate of the machine (benchmarks).
template <class T>
struct ExpKernels {
  /// out = e^x.
  void (*values)(const T* x, index_t n, T* out);
};

}  // namespace alphacl
