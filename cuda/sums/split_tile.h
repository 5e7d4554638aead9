// Products of 64 × 64 floats by the tensor cores of bfloat16: each float as a sum of three.
//
// x = x0 + x1 + x2 of 8 bits each, exact where |x| ≥ 2^-102, and x·y = (x0 y2 + x1 y1 + x2 y0) + (x0 y1 + x1 y0) + x0
// y0: what is left out is at most 2^-23 |x y|, mostly a tenth of it. A tensor core cuts every product two bits below
// the last of a float and every sum to a float. So the sum of 16 terms begins at 0, such sums are added up by additions
// that round, and every 64 terms go to a sum in double. The error of Σ x y is mostly below 2^-23 Σ |x y|, that of
// ordinary sums of floats; where one product is as large as all others together, it may be four times that.
#pragma once

#include <cstddef>
#include <cstdint>

#include "runtime/launch.h"

namespace alphacl::cuda {

constexpr int split_parts = 3, split_tile = 64;

/// Two bfloat16 in a word, the first of them in its lower half.
using SplitWord = std::uint32_t;

/// The parts of two neighbours.
struct SplitPair {
  SplitWord part[split_parts];
};

/// x rounded to bfloat16, half away from zero. Not for NaN, which need not stay one.
__device__ __forceinline__ float upper_part(float x) {
  return simt::as_float((simt::as_bits(x) + 0x8000u) & 0xffff0000u);
}

/// NaN stays in the last part, which is exact without rounding; infinity becomes NaN.
__device__ __forceinline__ SplitPair split_pair(float first, float second) {
  SplitPair pair;
#pragma unroll
  for (int p = 0; p < split_parts; ++p) {
    const bool last = p == split_parts - 1;
    const float a = last ? first : upper_part(first), b = last ? second : upper_part(second);
    pair.part[p] = simt::as_bits(a) >> 16 | (simt::as_bits(b) & 0xffff0000u);
    first -= a;
    second -= b;
  }
  return pair;
}

/// Rows of words in memory: parts × rows × width, the width a multiple of 16; numbers that there are not are 0.
struct SplitRows {
  const SplitWord* words;
  std::int64_t rows, width;

  __device__ const SplitWord* at(int part, std::int64_t row, std::int64_t word) const {
    return words + (part * rows + row) * width + word;
  }
};

/// Words of a row that lie in shared memory at a time, and of a tile's.
constexpr int split_words = 16, tile_words = split_tile / 2;

/// Rows are 4 words more than a multiple of 16 apart: the words of a fragment, 8 rows and 4 columns, lie in 32 banks.
template <int words>
using SplitTileRows = SplitWord[split_parts][split_tile][words + 4];

/// Words `first_word` to `first_word` + 15 of 64 rows; 0 for rows that there are not. `threads`: of the block.
template <int threads>
__device__ __forceinline__ void stage_rows(const SplitRows& from, std::int64_t first, std::int64_t first_word,
                                           SplitTileRows<split_words>& to) {
  constexpr int fours = split_words / 4;
  for (int e = threadIdx.x; e < split_parts * split_tile * fours; e += threads) {
    // Rows that are written at once are 4 apart, 80 words: in other banks than each other.
    const int part = e / (split_tile * fours), place = e / fours % split_tile, word = e % fours * 4;
    const int row = place / 8 * 8 + place % 2 * 4 + place % 8 / 2;
    const bool in = first + row < from.rows;
    reinterpret_cast<uint4&>(to[part][row][word]) =
        in ? *reinterpret_cast<const uint4*>(from.at(part, first + row, first_word + word)) : uint4{0, 0, 0, 0};
  }
}

/// What a thread has of left · rightᵀ, as mma.m16n8k16 has it: [y][x][i] of the row row(y, i) and the column
/// column(x, i). A warp has `down` times 16 rows and 32 columns, a block 64 × 64. For 6 · 4 `down` products of 16 × 8 ×
/// 16 a lane reads 24 + 12 `down` words.
template <int down>
struct SplitTile {
  static constexpr int across = 4, each = 4, threads = 256 / down, warps_down = 4 / down;
  using Numbers = double[down][across][each];

  __device__ static int group() { return threadIdx.x % 32 / 4; }
  __device__ static int in_group() { return threadIdx.x % 4; }
  /// The place of the warp among those of other rows, and among those of other columns.
  __device__ static int warp_row() { return threadIdx.x / 32 % warps_down; }
  __device__ static int warp_column() { return threadIdx.x / 32 / warps_down; }
  __device__ static int row(int y, int i) { return (warp_row() * down + y) * 16 + i / 2 * 8 + group(); }
  __device__ static int column(int x, int i) { return warp_column() * 32 + 8 * x + 2 * in_group() + i % 2; }

  float sum[down][across][each] = {};

  /// Adds Σ_k left_ik right_jk of 32 numbers k, which begin at word `from` of `left` and at the first of `right`.
  template <std::size_t row_words>
  __device__ __forceinline__ void add(const SplitWord (&left)[split_parts][split_tile][row_words], int from,
                                      const SplitTileRows<split_words>& right) {
#pragma unroll
    for (int step = 0; step < split_words; step += 8) {
      SplitWord a[down][split_parts][4];
#pragma unroll
      for (int y = 0; y < down; ++y)
#pragma unroll
        for (int p = 0; p < split_parts; ++p)
#pragma unroll
          for (int w = 0; w < 4; ++w) a[y][p][w] = left[p][row(y, w % 2 * 2)][from + step + in_group() + w / 2 * 4];
#pragma unroll
      for (int x = 0; x < across; x += 2) add_two(a, right, step, x);
    }
  }

  /// Adds what there is to `to`, and begins anew.
  __device__ __forceinline__ void empty_into(Numbers& to) {
#pragma unroll
    for (int y = 0; y < down; ++y)
#pragma unroll
      for (int x = 0; x < across; ++x)
#pragma unroll
        for (int i = 0; i < each; ++i) {
          to[y][x][i] += sum[y][x][i];
          sum[y][x][i] = 0;
        }
  }

 private:
  /// Columns x and x + 1 of fragments side by side, so that few products wait for the one just before; the small ones
  /// first.
  __device__ __forceinline__ void add_two(const SplitWord (&a)[down][split_parts][4],
                                          const SplitTileRows<split_words>& right, int step, int x) {
    constexpr int of_left[] = {2, 1, 0, 1, 0, 0}, of_right[] = {0, 1, 2, 0, 1, 0};
    SplitWord b[2][split_parts][2];
#pragma unroll
    for (int v = 0; v < 2; ++v)
#pragma unroll
      for (int p = 0; p < split_parts; ++p)
#pragma unroll
        for (int w = 0; w < 2; ++w)
          b[v][p][w] = right[p][warp_column() * 32 + 8 * (x + v) + group()][step + in_group() + w * 4];
    float part[down][2][each] = {};
#pragma unroll
    for (int q = 0; q < 6; ++q)
#pragma unroll
      for (int y = 0; y < down; ++y)
#pragma unroll
        for (int v = 0; v < 2; ++v) simt::mma_bf16(part[y][v], a[y][of_left[q]], b[v][of_right[q]]);
#pragma unroll
    for (int y = 0; y < down; ++y)
#pragma unroll
      for (int v = 0; v < 2; ++v)
#pragma unroll
        for (int i = 0; i < each; ++i) sum[y][x + v][i] += part[y][v][i];
  }
};

}  // namespace alphacl::cuda
