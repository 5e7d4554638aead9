// Products with an importance whose entries are made pair by pair, 64 × 64 of them at a time.
//
// A block of 16 × 16 threads owns 64 rows i and walks all columns j; a thread makes 4 × 4 entries from the features of
// its pairs, which lie in shared memory 16 columns at a time, adds up the sums of its rows, and multiplies: the entries
// go through shared memory, 16 columns j at a time, and meet 64 columns of x. More columns of x are other blocks, which
// make the entries again. Every number has one owner and a fixed order: no atomics, the same bits on every run.
// Operations per pair: 3m for the distance, an entry, 3 · 64 for the products of a block. Shared memory: 58 KiB.
#pragma once

#include "runtime/launch.h"

namespace alphacl::cuda {

constexpr int pair_side = 16, pair_each = 4, pair_tile = pair_side * pair_each, pair_depth = 16;

/// The features of the samples, N × m in double, contiguous. m = 0 where entries need no distance.
struct PairFeatures {
  const double* f;
  int n, m;

  __device__ double at(int i, int k) const { return f[static_cast<std::size_t>(i) * m + k]; }
  /// ½‖f_i − f_j‖².
  __device__ double half_square(int i, int j) const {
    double sum = 0;
    for (int k = 0; k < m; ++k) {
      const double difference = at(i, k) - at(j, k);
      sum = fma(difference, difference, sum);
    }
    return 0.5 * sum;
  }
};

/// α_ij and α_ji.
struct PairEntry {
  double forth, back;
};

struct PairShared {
  double own[pair_depth][pair_tile], other[pair_depth][pair_tile];
  double entry[pair_tile][pair_tile + 1];
  double x[pair_depth][pair_tile];
};

/// square[r][c] = Σ_k (f_ik − f_jk)² of row r · 16 + ty and column c · 16 + tx of a tile.
__device__ inline void tile_squares(const PairFeatures& f, int i0, int j0, PairShared& s,
                                    double (&square)[pair_each][pair_each]) {
  const int tx = threadIdx.x, ty = threadIdx.y, thread = ty * pair_side + tx;
#pragma unroll
  for (int r = 0; r < pair_each; ++r)
#pragma unroll
    for (int c = 0; c < pair_each; ++c) square[r][c] = 0;
  for (int k0 = 0; k0 < f.m; k0 += pair_depth) {
    __syncthreads();  // the columns before have been read
    for (int e = thread; e < pair_depth * pair_tile; e += 256) {
      const int k = e % pair_depth, r = e / pair_depth;
      const bool in = k0 + k < f.m;
      s.own[k][r] = in && i0 + r < f.n ? f.at(i0 + r, k0 + k) : 0.0;
      s.other[k][r] = in && j0 + r < f.n ? f.at(j0 + r, k0 + k) : 0.0;
    }
    __syncthreads();
#pragma unroll
    for (int k = 0; k < pair_depth; ++k)
#pragma unroll
      for (int r = 0; r < pair_each; ++r)
#pragma unroll
        for (int c = 0; c < pair_each; ++c) {
          const double difference = s.own[k][r * pair_side + ty] - s.other[k][c * pair_side + tx];
          square[r][c] = fma(difference, difference, square[r][c]);
        }
  }
}

/// The sum over the 16 threads of a row of the block, which are half a warp: the same in all of them.
__device__ inline double row_total(double value) {
  for (int k = pair_side / 2; k > 0; k /= 2) value += __shfl_xor_sync(0xffffffffu, value, k);
  return value;
}

/// What is multiplied: q columns of `x` (rows `stride` apart), and where the products go.
template <class X, class Y>
struct PairOperand {
  const X* x;
  std::int64_t stride;
  int q;
  Y* out;
  std::int64_t out_stride;
};

/// laplacian: out_i = Σ_j (α_ij + α_ji)(x_i − x_j), else Σ_j α_ij x_j. r, c: sums of α_ij and of α_ji over j, unless
/// null. Grid: blocks of rows, blocks of columns of x (at least one); block: 16 × 16.
template <class Entries, class X, class Y, bool laplacian>
__global__ void __launch_bounds__(256)
    pair_products(PairFeatures f, Entries entries, PairOperand<X, Y> of, double* r, double* c) {
  auto& s = simt::shared<PairShared>();
  const int tx = threadIdx.x, ty = threadIdx.y, thread = ty * pair_side + tx;
  const int i0 = blockIdx.x * pair_tile, first = blockIdx.y * pair_tile;
  double forth[pair_each] = {}, back[pair_each] = {}, own[pair_each][pair_each] = {};
  double product[pair_each][pair_each] = {};
  if (laplacian) {
#pragma unroll
    for (int a = 0; a < pair_each; ++a)
#pragma unroll
      for (int b = 0; b < pair_each; ++b) {
        const int i = i0 + a * pair_side + ty, column = first + b * pair_side + tx;
        if (i < f.n && column < of.q) own[a][b] = static_cast<double>(of.x[i * of.stride + column]);
      }
  }
  for (int j0 = 0; j0 < f.n; j0 += pair_tile) {
    double square[pair_each][pair_each];
    tile_squares(f, i0, j0, s, square);
    __syncthreads();  // the entries of the tile before have been read
#pragma unroll
    for (int a = 0; a < pair_each; ++a)
#pragma unroll
      for (int b = 0; b < pair_each; ++b) {
        const int i = i0 + a * pair_side + ty, j = j0 + b * pair_side + tx;
        PairEntry entry = {0, 0};
        if (i < f.n && j < f.n) entry = entries(i, j, 0.5 * square[a][b]);
        forth[a] += entry.forth;
        back[a] += entry.back;
        s.entry[a * pair_side + ty][b * pair_side + tx] =
            laplacian ? (i == j ? 0.0 : entry.forth + entry.back) : entry.forth;
      }
    for (int k0 = 0; k0 < pair_tile && of.q > 0; k0 += pair_depth) {
      __syncthreads();  // the entries are there, the rows of x before have been read
      for (int e = thread; e < pair_depth * pair_tile; e += 256) {
        const int k = e / pair_tile, column = e % pair_tile, j = j0 + k0 + k;
        const bool in = j < f.n && first + column < of.q;
        s.x[k][column] = in ? static_cast<double>(of.x[j * of.stride + first + column]) : 0.0;
      }
      __syncthreads();
#pragma unroll
      for (int k = 0; k < pair_depth; ++k)
#pragma unroll
        for (int a = 0; a < pair_each; ++a) {
          const double weight = s.entry[a * pair_side + ty][k0 + k];
#pragma unroll
          for (int b = 0; b < pair_each; ++b) {
            const double x = s.x[k][b * pair_side + tx];
            product[a][b] = fma(weight, laplacian ? own[a][b] - x : x, product[a][b]);
          }
        }
    }
  }
#pragma unroll
  for (int a = 0; a < pair_each; ++a) {
    const double row = row_total(forth[a]), column = row_total(back[a]);
    const int i = i0 + a * pair_side + ty;
    if (i >= f.n) continue;
    if (tx == 0 && blockIdx.y == 0 && r != nullptr) r[i] = row;
    if (tx == 0 && blockIdx.y == 0 && c != nullptr) c[i] = column;
#pragma unroll
    for (int b = 0; b < pair_each; ++b)
      if (first + b * pair_side + tx < of.q)
        of.out[i * of.out_stride + first + b * pair_side + tx] = static_cast<Y>(product[a][b]);
  }
}

template <bool laplacian, class Entries, class X, class Y>
void multiply_pairs(const Stream& on, const PairFeatures& f, const Entries& entries, const PairOperand<X, Y>& of,
                    double* r, double* c) {
  const unsigned blocks = static_cast<unsigned>(ceil_div(f.n, pair_tile));
  const unsigned columns = static_cast<unsigned>(ceil_div(of.q > 0 ? of.q : 1, pair_tile));
  launch(on, "pair_products", pair_products<Entries, X, Y, laplacian>, dim3(blocks, columns),
         dim3(pair_side, pair_side), sizeof(PairShared), f, entries, of, r, c);
}

}  // namespace alphacl::cuda
