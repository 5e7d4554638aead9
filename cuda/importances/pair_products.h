// Products with an importance whose entries are made pair by pair, 64 × 64 of them at a time.
//
// A block of 16 × 16 threads owns 64 rows i and walks all columns j; a thread makes 4 × 4 entries from the features of
// its pairs, which lie in shared memory 16 columns at a time, adds up the sums of its rows, and multiplies: the entries
// go through shared memory, 16 columns j at a time, and meet 64 columns of x. More columns of x are other blocks, which
// make the entries again. Every number has one owner and a fixed order: no atomics, the same bits on every run.
// Operations per pair: 3m for the distance, an entry, 3 · 64 for the products of a block. Shared memory: 73 KiB.
#pragma once

#include "sums/pair_tile.h"

namespace alphacl::cuda {

/// The features of the samples, N × m in double, contiguous. m = 0 where entries need no distance.
struct PairFeatures {
  const double* f;
  int n, m;

  __device__ View<const double> view() const { return {f, n, m, m}; }
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
  PairTileShared features;
  double entry[pair_tile][pair_tile + 1];
  double x[pair_depth][pair_tile];
  double forth[pair_tile][pair_side], back[pair_tile][pair_side];  // sums of the entries of each thread
};

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
  double own[pair_each][pair_each] = {}, product[pair_each][pair_each] = {};
#pragma unroll
  for (int a = 0; a < pair_each; ++a) s.forth[a * pair_side + ty][tx] = s.back[a * pair_side + ty][tx] = 0;
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
    pair_tile_sums<true>(f.view(), f.view(), i0, j0, s.features, square);
    __syncthreads();  // the entries of the tile before have been read
#pragma unroll
    for (int e = 0; e < pair_each * pair_each; ++e)
      s.entry[e / pair_each * pair_side + ty][e % pair_each * pair_side + tx] = square[e / pair_each][e % pair_each];
    // Not unrolled: with sixteen copies of an exponential the registers do not suffice.
#pragma unroll 1
    for (int e = 0; e < pair_each * pair_each; ++e) {
      const int row = e / pair_each * pair_side + ty, column = e % pair_each * pair_side + tx;
      const int i = i0 + row, j = j0 + column;
      PairEntry entry = {0, 0};
      if (i < f.n && j < f.n) entry = entries(i, j, 0.5 * s.entry[row][column]);
      s.forth[row][tx] += entry.forth;
      s.back[row][tx] += entry.back;
      s.entry[row][column] = laplacian ? (i == j ? 0.0 : entry.forth + entry.back) : entry.forth;
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
    const int own_row = a * pair_side + ty;
    const double row = row_total(s.forth[own_row][tx]), column = row_total(s.back[own_row][tx]);
    const int i = i0 + own_row;
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
