// Scores of 64 × 64 pairs at a time, in the registers of a block of 16 × 16 threads.
//
// A block owns 64 samples of one set and walks tiles of 64 samples of the other. Sums over the columns of a pair matrix
// are sums over the rows of the matrix whose sets are exchanged, with the same bits of each score: products commute.
// Where there are fewer blocks than a GPU has room for, the tiles of the other set are split into groups, a block each.
#pragma once

#include <algorithm>

#include "alphacl/pair_sums.h"
#include "runtime/launch.h"

namespace alphacl::cuda {

constexpr int pair_side = 16, pair_each = 4, pair_tile = pair_side * pair_each, pair_depth = 16;

/// Samples that own pairs, and those that they are paired with.
template <class S>
struct ScoredPairs {
  View<const S> own, other;
  double scale;
  bool diagonal;  // pairs i = j are left out
  int half;       // so are i and i ± half, unless it is 0

  /// Whether the pair counts. One that is left out but whose score is NaN does, so that NaN in gives NaN out.
  __device__ bool counts(int i, int j, double score) const {
    if (i >= own.rows || j >= other.rows) return false;
    const int apart = i - j;
    const bool left_out = (diagonal && apart == 0) || (half > 0 && (apart == half || apart == -half));
    return !left_out || score != score;
  }
};

/// The pairs of a problem, owned by the left or by the right set.
template <class S>
ScoredPairs<S> owned_by_left(const Pairs<S>& pairs) {
  const bool one_set = pairs.right.data == nullptr;
  const int half = one_set && pairs.skip_diagonal ? static_cast<int>(pairs.left.rows / 2) : 0;
  return {pairs.left, one_set ? pairs.left : pairs.right, pairs.scale, one_set || pairs.skip_diagonal, half};
}

template <class S>
ScoredPairs<S> owned_by_right(const Pairs<S>& pairs) {
  return {pairs.right, pairs.left, pairs.scale, pairs.skip_diagonal, 0};
}

/// A padded row, so that lanes which write down a column meet different banks.
using PairRow = double[pair_tile + 1];

struct ScoreShared {
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

/// t[y][x] = f_i·g_j or −½‖f_i − g_j‖² of i = i0 + 16y + threadIdx.y and j = j0 + 16x + threadIdx.x. Distances are sums
/// of squared differences, so nothing cancels. m multiply-adds a pair, twice as many operations for distances.
template <bool distances, class S>
__device__ __forceinline__ void score_tile(const ScoredPairs<S>& pairs, int i0, int j0, ScoreShared& s,
                                           double (&t)[pair_each][pair_each]) {
  const int tx = threadIdx.x, ty = threadIdx.y, m = static_cast<int>(pairs.own.cols);
#pragma unroll
  for (int y = 0; y < pair_each; ++y)
#pragma unroll
    for (int x = 0; x < pair_each; ++x) t[y][x] = 0;
  for (int k0 = 0; k0 < m; k0 += pair_depth) {
    const int depth = m - k0 < pair_depth ? m - k0 : pair_depth;
    __syncthreads();  // what was here has been read
    stage_features(pairs.own, i0, k0, depth, s.own);
    stage_features(pairs.other, j0, k0, depth, s.other);
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
  if constexpr (distances) {
#pragma unroll
    for (int y = 0; y < pair_each; ++y)
#pragma unroll
      for (int x = 0; x < pair_each; ++x) t[y][x] *= -0.5;
  }
}

/// How pairs are dealt to blocks, from sizes alone. Grid: blocks that own 64 samples each, times `chunks`; groups.
struct PairSplit {
  int own_tiles, other_tiles, chunks, groups;

  /// As many groups as make 512 blocks, if each has two tiles to walk.
  PairSplit(index_t own, index_t other, index_t parts)
      : own_tiles(static_cast<int>(ceil_div(own, pair_tile))),
        other_tiles(static_cast<int>(ceil_div(other, pair_tile))),
        chunks(static_cast<int>(parts)),
        groups(static_cast<int>(std::clamp<index_t>(512 / (own_tiles * parts), 1, ceil_div(other_tiles, 2)))) {}

  dim3 grid() const { return dim3(static_cast<unsigned>(own_tiles) * chunks, static_cast<unsigned>(groups)); }
  /// First tile of a group.
  __device__ int begin(int group) const {
    return static_cast<int>(static_cast<std::int64_t>(other_tiles) * group / groups);
  }
};

}  // namespace alphacl::cuda
