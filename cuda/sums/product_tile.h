// A product of 64 × 64 numbers by a block of eight warps, from shared memory, in the fragments of mma.m8n8k4.
//
// A warp has 16 rows and 32 columns, 16 numbers a lane. Rows of shared memory are 68 numbers apart, 4 more than a
// multiple of the 16 banks of doubles: the 4 rows and 4 columns that half a warp reads for a fragment lie in 16 banks.
// A warp reads six numbers a lane for eight products of 8 × 8 × 4: about three quarters of the cycles that these take,
// so tensor cores are the limit. Loads of 16 bytes, two fragments at once, bring no more bytes a cycle and took more
// registers and, for moves, more instructions.
#pragma once

#include <cstddef>

#include "simt/simt.h"

namespace alphacl::cuda {

constexpr int product_tile = 64;

/// A row of shared memory.
using TileRow = double[product_tile + 4];

/// Writes two neighbours at once; the first of them lies at a multiple of 16 bytes.
__device__ __forceinline__ void store_pair(double& to, double first, double second) {
  reinterpret_cast<double2&>(to) = {first, second};
}

/// What a thread has of left · right. across: `left` lies in shared memory as `right` does, a row for each k.
template <bool across>
struct ProductTile {
  double sum[2][4][2] = {};

  __device__ static int thread() { return threadIdx.y * blockDim.x + threadIdx.x; }
  __device__ static int group() { return thread() % 32 / 4; }
  __device__ static int in_group() { return thread() % 4; }
  /// The rows of the thread, y < 2, and the first column of its warp: warps that share one are of all four schedulers.
  __device__ static int row(int y) { return thread() / 32 % 4 * 16 + 8 * y + group(); }
  __device__ static int first_column() { return thread() / 128 * 32; }

  /// sum[i][j] += Σ_k left[i][k0 + k] right[k][j], or left[k0 + k][i] where `across`: k after k, each an fma. Warps
  /// whose columns are all beyond the `columns` that there are have nothing to do.
  template <std::size_t rows, std::size_t depth>
  __device__ __forceinline__ void add(const TileRow (&left)[rows], int k0, const TileRow (&right)[depth], int columns) {
    if (first_column() >= columns) return;
#pragma unroll
    for (int step = 0; step < static_cast<int>(depth); step += 4) {
      const int k = step + in_group(), column = first_column() + group();
      double a[2], b[4];
#pragma unroll
      for (int y = 0; y < 2; ++y) a[y] = across ? left[k0 + k][row(y)] : left[row(y)][k0 + k];
#pragma unroll
      for (int x = 0; x < 4; ++x) b[x] = right[k][column + 8 * x];
      simt::mma_f64(sum, a, b);
    }
  }

  /// Calls to(row, column, first, second) for the numbers of every two neighbouring columns, the first an even one.
  template <class F>
  __device__ __forceinline__ void each(F&& to) const {
#pragma unroll
    for (int y = 0; y < 2; ++y)
#pragma unroll
      for (int x = 0; x < 4; ++x) to(row(y), first_column() + 8 * x + 2 * in_group(), sum[y][x][0], sum[y][x][1]);
  }
};

}  // namespace alphacl::cuda
