// Inner products, or squared distances, of 64 × 64 pairs at a time, in the registers of a block of 16 × 16 threads.
#pragma once

#include "runtime/launch.h"

namespace alphacl::cuda {

constexpr int pair_side = 16, pair_each = 4, pair_tile = pair_side * pair_each, pair_depth = 16;

/// A padded row, so that lanes which write down a column meet different banks.
using PairRow = double[pair_tile + 1];

struct PairTileShared {
  PairRow own[pair_depth], other[pair_depth];
};

/// Features k0 to k0 + depth of 64 samples, one row of `to` a feature; 0 for samples that there are not.
template <class S>
__device__ __forceinline__ void stage_features(View<const S> from, int first, int k0, int depth, PairRow* to) {
  for (int e = threadIdx.y * pair_side + threadIdx.x; e < pair_depth * pair_tile; e += pair_side * pair_side) {
    const int sample = e / pair_depth, k = e % pair_depth;
    if (k < depth)
      to[k][sample] = first + sample < from.rows ? from.data[(first + sample) * from.stride + k0 + k] : S(0);
  }
}

/// t[y][x] = f_i·g_j or ‖f_i − g_j‖² of i = i0 + 16y + threadIdx.y and j = j0 + 16x + threadIdx.x. Distances are sums
/// of squared differences, so nothing cancels. m multiply-adds a pair, twice as many operations for distances.
template <bool distances, class A, class B>
__device__ __forceinline__ void pair_tile_sums(View<const A> own, View<const B> other, int i0, int j0,
                                               PairTileShared& s, double (&t)[pair_each][pair_each]) {
  const int tx = threadIdx.x, ty = threadIdx.y, m = static_cast<int>(own.cols);
#pragma unroll
  for (int y = 0; y < pair_each; ++y)
#pragma unroll
    for (int x = 0; x < pair_each; ++x) t[y][x] = 0;
  for (int k0 = 0; k0 < m; k0 += pair_depth) {
    const int depth = m - k0 < pair_depth ? m - k0 : pair_depth;
    __syncthreads();  // what was here has been read
    stage_features(own, i0, k0, depth, s.own);
    stage_features(other, j0, k0, depth, s.other);
    __syncthreads();
#pragma unroll 2
    for (int k = 0; k < depth; ++k) {
      double f[pair_each], g[pair_each];
#pragma unroll
      for (int v = 0; v < pair_each; ++v) {
        f[v] = s.own[k][v * pair_side + ty];
        g[v] = s.other[k][v * pair_side + tx];
      }
#pragma unroll
      for (int y = 0; y < pair_each; ++y)
#pragma unroll
        for (int x = 0; x < pair_each; ++x) {
          if constexpr (distances) {
            const double apart = f[y] - g[x];
            t[y][x] = fma(apart, apart, t[y][x]);
          } else {
            t[y][x] = fma(f[y], g[x], t[y][x]);
          }
        }
    }
  }
}

}  // namespace alphacl::cuda
