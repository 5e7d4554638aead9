// Sums of products Σ_r a_r b_rᵀ over many rows, for many nodes at once.
//
// A block computes one tile of 64 × 64 numbers of one node over one group of rows, by products of tensor cores in
// double (mma.m8n8k4). Each of its eight warps holds 16 × 32 numbers, 16 a thread; 16 rows at a time lie in shared
// memory. A second kernel adds the groups in their order: no atomics, the same bits on every run. What a row is says
// the Source, a struct that the kernel is given:
//     __device__ int rows(int node) const                     how many rows the node has
//     __device__ double left(int node, int row, int a) const  a_r[a], 0 ≤ a < left_size
//     __device__ double right(int node, int row, int b) const
// Operations: 2 · rows · 64² a tile; bytes: 2 · 64 numbers a row and tile, read through the L2 cache. Shared memory: 17
// KiB, of which a warp reads six numbers a lane for eight products of 8 × 8 × 4: about three quarters of the cycles
// that these take, so tensor cores are the limit.
#pragma once

#include <algorithm>

#include "runtime/launch.h"

namespace alphacl::cuda {

constexpr int gram_tile = 64, gram_depth = 16;

/// What the tiles make up. symmetric: the sum itself is, only tiles of the upper triangle are computed and the lower
/// one is a copy.
struct GramShape {
  int left_size, right_size;
  bool symmetric;
  int groups;  // of rows

  __host__ __device__ int left_tiles() const { return (left_size + gram_tile - 1) / gram_tile; }
  __host__ __device__ int right_tiles() const { return (right_size + gram_tile - 1) / gram_tile; }
  __host__ __device__ int tiles() const {
    const int n = left_tiles();
    return symmetric ? n * (n + 1) / 2 : n * right_tiles();
  }
  /// Tile t: column by column of the upper triangle, else row by row.
  __device__ void place(int t, int& a, int& b) const {
    if (!symmetric) {
      a = t / right_tiles();
      b = t % right_tiles();
      return;
    }
    for (b = 0; t > b; ++b) t -= b + 1;
    a = t;
  }
};

/// Rows are 68 numbers apart, 4 more than a multiple of the 16 banks of doubles: the numbers of 4 rows and 4 columns
/// that half a warp reads for a fragment lie in 16 banks.
struct GramShared {
  double left[gram_depth][gram_tile + 4], right[gram_depth][gram_tile + 4];
};

/// parts: nodes × groups × tiles × 64 × 64. Grid: tiles, groups, nodes; block: 256.
template <class Source>
__global__ void __launch_bounds__(256) gram_sums(Source source, GramShape shape, double* parts) {
  auto& s = simt::shared<GramShared>();
  // A warp has the rows y0 … and the columns x0 … of the tile; a lane is (g, t) in its fragments.
  const int thread = threadIdx.x, warp = thread / 32, g = thread % 32 / 4, t = thread % 4;
  const int y0 = warp / 2 * 16, x0 = warp % 2 * 32, node = blockIdx.z, group = blockIdx.y;
  int a, b;
  shape.place(blockIdx.x, a, b);
  const std::int64_t rows = source.rows(node);
  const int begin = static_cast<int>(rows * group / shape.groups);
  const int end = static_cast<int>(rows * (group + 1) / shape.groups);
  double sum[2][4][2] = {};
  for (int first = begin; first < end; first += gram_depth) {
    __syncthreads();  // the rows before have been read
    for (int e = thread; e < gram_depth * gram_tile; e += 256) {
      const int r = e / gram_tile, c = e % gram_tile;
      const bool in = first + r < end;
      const int left = a * gram_tile + c, right = b * gram_tile + c;
      s.left[r][c] = in && left < shape.left_size ? source.left(node, first + r, left) : 0.0;
      s.right[r][c] = in && right < shape.right_size ? source.right(node, first + r, right) : 0.0;
    }
    __syncthreads();
#pragma unroll
    for (int r = 0; r < gram_depth; r += 4) {
      double left[2], right[4];
#pragma unroll
      for (int y = 0; y < 2; ++y) left[y] = s.left[r + t][y0 + 8 * y + g];
#pragma unroll
      for (int x = 0; x < 4; ++x) right[x] = s.right[r + t][x0 + 8 * x + g];
      simt::mma_f64(sum, left, right);
    }
  }
  double* part = parts + ((static_cast<std::size_t>(node) * shape.groups + group) * shape.tiles() + blockIdx.x) *
                             gram_tile * gram_tile;
#pragma unroll
  for (int y = 0; y < 2; ++y)
#pragma unroll
    for (int x = 0; x < 4; ++x)
#pragma unroll
      for (int i = 0; i < 2; ++i) part[(y0 + 8 * y + g) * gram_tile + x0 + 8 * x + 2 * t + i] = sum[y][x][i];
}

/// out (nodes × left_size × right_size) = scale · the sum over the groups. Grid: tiles, 1, nodes; block: 256.
template <class S>
__global__ void __launch_bounds__(256) gram_finish(GramShape shape, const double* parts, double scale, S* out) {
  const int node = blockIdx.z, size = gram_tile * gram_tile;
  int a, b;
  shape.place(blockIdx.x, a, b);
  const std::size_t group_size = static_cast<std::size_t>(shape.tiles()) * size;
  const double* part =
      parts + static_cast<std::size_t>(node) * shape.groups * group_size + static_cast<std::size_t>(blockIdx.x) * size;
  S* const to = out + static_cast<std::size_t>(node) * shape.left_size * shape.right_size;
  for (int e = threadIdx.x; e < size; e += 256) {
    const int y = a * gram_tile + e / gram_tile, x = b * gram_tile + e % gram_tile;
    if (y >= shape.left_size || x >= shape.right_size || (shape.symmetric && y > x)) continue;
    double sum = 0;
    for (int g = 0; g < shape.groups; ++g) sum += part[g * group_size + e];
    const S value = static_cast<S>(scale * sum);
    to[static_cast<std::size_t>(y) * shape.right_size + x] = value;
    if (shape.symmetric) to[static_cast<std::size_t>(x) * shape.right_size + y] = value;
  }
}

/// Groups of rows, from the number of rows alone: a node gets the same bits whatever other nodes there are.
inline int gram_groups(index_t rows) { return static_cast<int>(std::clamp<index_t>(ceil_div(rows, 4096), 1, 64)); }

constexpr index_t most_parts = index_t{1} << 25;  // numbers of partial sums at a time: 256 MiB

/// out_k (left_size × right_size) = scale · Σ_r a_r b_rᵀ for each of `nodes` nodes. Memory: `most_numbers` of partial
/// sums, or what one group of one node takes; there are fewer groups where a node would take more than most_parts.
template <class S, class Source>
void gram(const Stream& on, const Source& source, GramShape shape, index_t nodes, double scale, S* out,
          index_t most_numbers = most_parts) {
  if (shape.left_size == 0 || shape.right_size == 0) return;
  const index_t group = index_t{shape.tiles()} * gram_tile * gram_tile;
  shape.groups = static_cast<int>(std::clamp<index_t>(most_parts / group, 1, shape.groups));
  const index_t part = shape.groups * group;
  const index_t together = std::clamp<index_t>(most_numbers / part, 1, std::min<index_t>(nodes, 65535));
  double* const parts = on.memory.take<double>(together * part);
  for (index_t first = 0; first < nodes; first += together) {
    const unsigned count = static_cast<unsigned>(std::min(together, nodes - first));
    const unsigned tiles = static_cast<unsigned>(shape.tiles());
    launch(on, "gram_sums", gram_sums<Source>, dim3(tiles, static_cast<unsigned>(shape.groups), count), dim3(256),
           sizeof(GramShared), source.from(static_cast<int>(first)), shape, parts);
    launch(on, "gram_finish", gram_finish<S>, dim3(tiles, 1, count), dim3(256), 0, shape, parts, scale,
           out + first * shape.left_size * shape.right_size);
  }
}

}  // namespace alphacl::cuda
