// Scores of 64 × 64 pairs at a time.
//
// A block owns 64 samples of one set and walks tiles of 64 samples of the other. Sums over the columns of a pair matrix
// are sums over the rows of the matrix whose sets are exchanged, with the same bits of each score: products commute.
// Where there are fewer blocks than a GPU has room for, the tiles of the other set are split into groups, a block each.
#pragma once

#include <algorithm>

#include "alphacl/pair_sums.h"
#include "sums/pair_tile.h"

namespace alphacl::cuda {

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

/// t[y][x] = f_i·g_j or −½‖f_i − g_j‖² of the pairs that pair_tile_sums gives.
template <bool distances, class S>
__device__ __forceinline__ void score_tile(const ScoredPairs<S>& pairs, int i0, int j0, PairTileShared& s,
                                           double (&t)[pair_each][pair_each]) {
  pair_tile_sums<distances>(pairs.own, pairs.other, i0, j0, s, t);
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
