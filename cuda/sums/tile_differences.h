// Σ_k w_k (own − x_k) of 64 × 64 numbers by a block of 16 × 16 threads, `own` the x of the row.
//
// Not a product of matrices: of own Σ_k w_k − Σ_k w_k x_k nothing would be left where samples lie close together and
// far from the others. Two operations in double a term.
#pragma once

#include "sums/pair_tile.h"

namespace alphacl::cuda {

/// What a thread has of it. across: the weights of a row are a column of theirs.
template <bool across>
struct TileDifferences {
  double own[pair_each][pair_each], sum[pair_each][pair_each] = {};

  __device__ static int row(int a) { return a * pair_side + static_cast<int>(threadIdx.y); }
  __device__ static int column(int b) { return b * pair_side + static_cast<int>(threadIdx.x); }

  /// own = x(row, column).
  template <class F>
  __device__ __forceinline__ void take(F&& x) {
#pragma unroll
    for (int a = 0; a < pair_each; ++a)
#pragma unroll
      for (int b = 0; b < pair_each; ++b) own[a][b] = x(row(a), column(b));
  }

  /// Adds 16 terms, from k0 on, of the first `columns` columns, as ProductTile::add.
  __device__ __forceinline__ void add(const TileRow (&weights)[pair_tile], int k0, const TileRow (&x)[pair_depth],
                                      int columns) {
#pragma unroll 2
    for (int k = 0; k < pair_depth; ++k) {
      double weight[pair_each];
#pragma unroll
      for (int a = 0; a < pair_each; ++a) weight[a] = across ? weights[k0 + k][row(a)] : weights[row(a)][k0 + k];
#pragma unroll
      for (int b = 0; b < pair_each; ++b) {
        if (b * pair_side >= columns) continue;
        const double other = x[k][column(b)];
#pragma unroll
        for (int a = 0; a < pair_each; ++a) sum[a][b] = fma(weight[a], own[a][b] - other, sum[a][b]);
      }
    }
  }

  /// Calls to(row, column, sum).
  template <class F>
  __device__ __forceinline__ void each(F&& to) const {
#pragma unroll
    for (int a = 0; a < pair_each; ++a)
#pragma unroll
      for (int b = 0; b < pair_each; ++b) to(row(a), column(b), sum[a][b]);
  }
};

}  // namespace alphacl::cuda
