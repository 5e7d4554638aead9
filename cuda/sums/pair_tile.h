// Inner products, or squared distances, of 64 × 64 pairs at a time, in the registers of a block of 16 × 16 threads.
#pragma once

#include "runtime/launch.h"
#include "sums/product_tile.h"

namespace alphacl::cuda {

constexpr int pair_side = 16, pair_each = 4, pair_tile = product_tile, pair_depth = 16;

/// Features k of 64 samples, a row each. own: the samples v · 16 + u, v < 4, lie at 4u + v, side by side as one thread,
/// or one fragment, takes them.
struct PairTileShared {
  TileRow own[pair_depth], other[pair_depth];
};

/// Features k0 to k0 + depth of 64 samples, one row of `to` a feature; 0 for samples and features that there are not.
template <bool by_thread, class S>
__device__ __forceinline__ void stage_features(View<const S> from, int first, int k0, int depth, TileRow* to) {
  for (int e = threadIdx.y * pair_side + threadIdx.x; e < pair_depth * pair_tile; e += pair_side * pair_side) {
    const int k = e / (4 * pair_tile) * 4 + e % 4, place = e / 4 % pair_tile;
    const int sample = by_thread ? place % pair_each * pair_side + place / pair_each : place;
    const bool in = k < depth && first + sample < from.rows;
    to[k][place] = in ? from.data[(first + sample) * from.stride + k0 + k] : S(0);
  }
}

/// t += the squared differences of the staged features.
__device__ __forceinline__ void add_distances(const PairTileShared& s, int depth, double (&t)[pair_each][pair_each]) {
  const int tx = threadIdx.x, ty = threadIdx.y;
#pragma unroll 2
  for (int k = 0; k < depth; ++k) {
    double f[pair_each], g[pair_each];
#pragma unroll
    for (int v = 0; v < pair_each; ++v) {
      f[v] = s.own[k][ty * pair_each + v];
      g[v] = s.other[k][v * pair_side + tx];
    }
#pragma unroll
    for (int y = 0; y < pair_each; ++y)
#pragma unroll
      for (int x = 0; x < pair_each; ++x) {
        const double apart = f[y] - g[x];
        t[y][x] = fma(apart, apart, t[y][x]);
      }
  }
}

/// Products of a warp in the fragments of mma.m8n8k4: its 8 rows are places of `own`, 64 columns.
using ProductRows = double[1][8][2];

/// sums += the products of the staged features, by tensor cores: nine numbers of shared memory for eight products of
/// 8 × 8 × 4.
__device__ __forceinline__ void add_products(const PairTileShared& s, ProductRows& sums) {
  const int thread = threadIdx.y * pair_side + threadIdx.x, warp = thread / 32, g = thread % 32 / 4, l = thread % 4;
#pragma unroll
  for (int k = 0; k < pair_depth; k += 4) {
    const double own[1] = {s.own[k + l][8 * warp + g]};
    double other[8];
#pragma unroll
    for (int x = 0; x < 8; ++x) other[x] = s.other[k + l][8 * x + g];
    simt::mma_f64(sums, own, other);
  }
}

/// From fragments to the numbers that threads own, through four of the rows of shared memory for each warp, half of the
/// rows at a time.
__device__ __forceinline__ void hand_out(const ProductRows& sums, PairTileShared& s,
                                         double (&t)[pair_each][pair_each]) {
  const int tx = threadIdx.x, ty = threadIdx.y, thread = ty * pair_side + tx;
  const int warp = thread / 32, g = thread % 32 / 4, l = thread % 4;
  TileRow* const rows = warp < 4 ? s.own + 4 * warp : s.other + 4 * (warp - 4);
  __syncthreads();  // the features have been read
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    if (g % 4 / 2 == half) {
#pragma unroll
      for (int x = 0; x < 8; ++x)
#pragma unroll
        for (int i = 0; i < 2; ++i) rows[g / 4 * 2 + g % 2][8 * x + 2 * l + i] = sums[0][x][i];
    }
    __syncwarp();
#pragma unroll
    for (int y = 0; y < 2; ++y)
#pragma unroll
      for (int x = 0; x < pair_each; ++x) t[2 * half + y][x] = rows[ty % 2 * 2 + y][x * pair_side + tx];
    __syncwarp();
  }
}

/// t[y][x] = f_i·g_j or ‖f_i − g_j‖² of i = i0 + 16y + threadIdx.y and j = j0 + 16x + threadIdx.x. Distances are sums
/// of squared differences, so nothing cancels. m multiply-adds a pair, by tensor cores; twice as many operations for
/// distances, which they do not have.
template <bool distances, class A, class B>
__device__ __forceinline__ void pair_tile_sums(View<const A> own, View<const B> other, int i0, int j0,
                                               PairTileShared& s, double (&t)[pair_each][pair_each]) {
  const int m = static_cast<int>(own.cols);
  ProductRows sums = {};
#pragma unroll
  for (int y = 0; y < pair_each; ++y)
#pragma unroll
    for (int x = 0; x < pair_each; ++x) t[y][x] = 0;
  for (int k0 = 0; k0 < m; k0 += pair_depth) {
    const int depth = m - k0 < pair_depth ? m - k0 : pair_depth;
    __syncthreads();  // what was here has been read
    stage_features<true>(own, i0, k0, depth, s.own);
    stage_features<false>(other, j0, k0, depth, s.other);
    __syncthreads();
    if constexpr (distances)
      add_distances(s, depth, t);
    else
      add_products(s, sums);
  }
  if (!distances) hand_out(sums, s, t);
}

}  // namespace alphacl::cuda
