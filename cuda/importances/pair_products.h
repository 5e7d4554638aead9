// Products with an importance whose entries are made pair by pair, 64 × 64 of them at a time, each pair once.
//
// A block of 16 × 16 threads takes 64 rows i and a run of the tiles of columns j that are not left of them. A thread
// makes 4 × 4 entries from the features of its pairs, which lie in shared memory 16 columns at a time; they go to
// shared memory, α_ij and α_ji, and meet 64 columns of x twice, 16 rows at a time: those of j, for the rows i, which
// add up in registers over the run; and those of i, for the rows j, which are parts of the result. `finish_pairs` adds
// the parts of a row in their order. Every number has one owner: no atomics, the same bits on every run; runs depend on
// N alone. More columns of x are other blocks, which make the entries again. Operations per pair i < j: 3m for the
// distance, an entry, 2 · 3 · 64 for the products of a block (2 · 2 · 64 without differences). Bytes: 16 (q + 2) for
// each row and tile of parts, written and read once. Registers: up to 202, one block on a multiprocessor (126 to 159
// without differences); shared memory: 89 KiB (122 KiB). Limit: double FMA. Source: the symmetry α_ij, α_ji of a pair
// of samples (derived).
#pragma once

#include "sums/elementwise.h"
#include "sums/gram.h"
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

using EntryTile = double[pair_tile][pair_tile + 1];

/// laplacian: one tile of α_ij + α_ji; else α_ij, then α_ji. Sums of the entries of each thread: by row over the run,
/// by column over a tile.
template <bool laplacian>
struct PairShared {
  PairTileShared features;
  EntryTile entry[laplacian ? 1 : 2];
  double x[pair_depth][pair_tile];
  double row_forth[pair_tile][pair_side], row_back[pair_tile][pair_side];
  double column_forth[pair_side][pair_tile], column_back[pair_side][pair_tile];
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

  __device__ double at(int i, int column, int n) const {
    return i < n && column < q ? static_cast<double>(x[i * stride + column]) : 0.0;
  }
};

/// Parts of results, whose rows are q products, Σ_j α_ij and Σ_j α_ji. For `count` rows of blocks from `first` on: what
/// a run gives to its own rows, and what a row of blocks gives to all rows below it.
struct PairParts {
  int n, width, run, runs, first, count;
  double* own;    // count × runs × 64 × width
  double* below;  // count × n × width

  __host__ __device__ int blocks() const { return (n + pair_tile - 1) / pair_tile; }
  __device__ double& own_at(int block, int of_run, int row, int column) const {
    return own[(((static_cast<std::int64_t>(block - first) * runs + of_run) * pair_tile) + row) * width + column];
  }
  __device__ double& below_at(int block, int row, int column) const {
    return below[(static_cast<std::int64_t>(block - first) * n + row) * width + column];
  }
};

/// The entries of a tile from the squared distances, and their sums.
template <bool laplacian, class Entries>
__device__ __forceinline__ void make_entries(const PairFeatures& f, const Entries& entries, int i0, int j0,
                                             const double (&square)[pair_each][pair_each], PairShared<laplacian>& s) {
  const int tx = threadIdx.x, ty = threadIdx.y;
#pragma unroll
  for (int e = 0; e < pair_each * pair_each; ++e)
    s.entry[0][e / pair_each * pair_side + ty][e % pair_each * pair_side + tx] = square[e / pair_each][e % pair_each];
#pragma unroll
  for (int b = 0; b < pair_each; ++b)
    s.column_forth[ty][b * pair_side + tx] = s.column_back[ty][b * pair_side + tx] = 0;
  // Not unrolled: with sixteen copies of an exponential the registers do not suffice.
#pragma unroll 1
  for (int e = 0; e < pair_each * pair_each; ++e) {
    const int row = e / pair_each * pair_side + ty, column = e % pair_each * pair_side + tx;
    const int i = i0 + row, j = j0 + column;
    PairEntry entry = {0, 0};
    if (i < f.n && j < f.n) entry = entries(i, j, 0.5 * s.entry[0][row][column]);
    s.row_forth[row][tx] += entry.forth;
    s.row_back[row][tx] += entry.back;
    s.column_forth[ty][column] += entry.forth;
    s.column_back[ty][column] += entry.back;
    s.entry[0][row][column] = !laplacian ? entry.forth : i == j ? 0.0 : entry.forth + entry.back;
    if constexpr (!laplacian) s.entry[1][row][column] = entry.back;
  }
}

/// sum[a][b] += Σ_k w_k (own[a][b] − x_k), or Σ_k w_k x_k, over the 64 samples from k0 on: w is row a of `weights`, or
/// column a where `across`.
template <bool laplacian, bool across, class Operand>
__device__ __forceinline__ void multiply_tile(const Operand& of, int n, int first, int k0, const EntryTile& weights,
                                              const double (&own)[pair_each][pair_each], PairShared<laplacian>& s,
                                              double (&sum)[pair_each][pair_each]) {
  const int tx = threadIdx.x, ty = threadIdx.y, thread = ty * pair_side + tx;
  for (int part = 0; part < pair_tile; part += pair_depth) {
    __syncthreads();  // the rows of x before have been read
    for (int e = thread; e < pair_depth * pair_tile; e += 256)
      s.x[e / pair_tile][e % pair_tile] = of.at(k0 + part + e / pair_tile, first + e % pair_tile, n);
    __syncthreads();
#pragma unroll
    for (int k = 0; k < pair_depth; ++k)
#pragma unroll
      for (int a = 0; a < pair_each; ++a) {
        const int line = a * pair_side + ty;
        const double weight = across ? weights[part + k][line] : weights[line][part + k];
#pragma unroll
        for (int b = 0; b < pair_each; ++b) {
          const double x = s.x[k][b * pair_side + tx];
          sum[a][b] = fma(weight, laplacian ? own[a][b] - x : x, sum[a][b]);
        }
      }
  }
}

/// The numbers of x of the rows from i0 on that this thread owns.
template <class Operand>
__device__ __forceinline__ void own_rows(const Operand& of, int n, int first, int i0,
                                         double (&own)[pair_each][pair_each]) {
#pragma unroll
  for (int a = 0; a < pair_each; ++a)
#pragma unroll
    for (int b = 0; b < pair_each; ++b)
      own[a][b] = of.at(i0 + a * pair_side + static_cast<int>(threadIdx.y),
                        first + b * pair_side + static_cast<int>(threadIdx.x), n);
}

/// What the tile (I, J) gives to the rows of J.
template <bool laplacian, class Operand>
__device__ __forceinline__ void give_below(const Operand& of, const PairParts& parts, int block, int j0, int first,
                                           PairShared<laplacian>& s) {
  const int tx = threadIdx.x, ty = threadIdx.y, thread = ty * pair_side + tx;
  if (of.q > 0) {
    double own[pair_each][pair_each] = {}, sum[pair_each][pair_each] = {};
    if (laplacian) own_rows(of, parts.n, first, j0, own);
    multiply_tile<laplacian, true>(of, parts.n, first, block * pair_tile, s.entry[laplacian ? 0 : 1], own, s, sum);
#pragma unroll
    for (int a = 0; a < pair_each; ++a)
#pragma unroll
      for (int b = 0; b < pair_each; ++b) {
        const int j = j0 + a * pair_side + ty, column = first + b * pair_side + tx;
        if (j < parts.n && column < of.q) parts.below_at(block, j, column) = sum[a][b];
      }
  }
  if (blockIdx.z != 0 || thread >= pair_tile || j0 + thread >= parts.n) return;
  double forth = 0, back = 0;
  for (int k = 0; k < pair_side; ++k) {
    forth += s.column_forth[k][thread];
    back += s.column_back[k][thread];
  }
  parts.below_at(block, j0 + thread, of.q) = back;
  parts.below_at(block, j0 + thread, of.q + 1) = forth;
}

/// laplacian: parts of Σ_j (α_ij + α_ji)(x_i − x_j), else of Σ_j α_ij x_j. Grid: runs, rows of blocks, blocks of
/// columns of x (at least one); block: 16 × 16.
template <class Entries, class X, class Y, bool laplacian>
__global__ void __launch_bounds__(256)
    pair_products(PairFeatures f, Entries entries, PairOperand<X, Y> of, PairParts parts) {
  auto& s = simt::shared<PairShared<laplacian>>();
  const int tx = threadIdx.x, ty = threadIdx.y, run = blockIdx.x;
  const int block = parts.first + static_cast<int>(blockIdx.y), first = static_cast<int>(blockIdx.z) * pair_tile;
  const int begin = larger(block, run * parts.run), end = smaller(parts.blocks(), (run + 1) * parts.run);
  if (begin >= end) return;  // left of the diagonal
  double product[pair_each][pair_each] = {};
#pragma unroll
  for (int a = 0; a < pair_each; ++a) s.row_forth[a * pair_side + ty][tx] = s.row_back[a * pair_side + ty][tx] = 0;
  for (int other = begin; other < end; ++other) {
    const int i0 = block * pair_tile, j0 = other * pair_tile;
    double square[pair_each][pair_each];
    pair_tile_sums<true>(f.view(), f.view(), i0, j0, s.features, square);
    __syncthreads();  // the entries of the tile before have been read
    make_entries(f, entries, i0, j0, square, s);
    __syncthreads();  // the entries are there
    if (of.q > 0) {
      double own[pair_each][pair_each] = {};
      if (laplacian) own_rows(of, f.n, first, i0, own);
      multiply_tile<laplacian, false>(of, f.n, first, j0, s.entry[0], own, s, product);
    }
    if (other != block) give_below(of, parts, block, j0, first, s);
  }
#pragma unroll
  for (int a = 0; a < pair_each; ++a) {
    const int row = a * pair_side + ty;
    const double forth = row_total(s.row_forth[row][tx]), back = row_total(s.row_back[row][tx]);
    if (tx == 0 && blockIdx.z == 0) {
      parts.own_at(block, run, row, of.q) = forth;
      parts.own_at(block, run, row, of.q + 1) = back;
    }
#pragma unroll
    for (int b = 0; b < pair_each; ++b)
      if (first + b * pair_side + tx < of.q) parts.own_at(block, run, row, first + b * pair_side + tx) = product[a][b];
  }
}

/// Adds parts: those that a row got from the rows of blocks above it, then those of its own runs. A row whose own runs
/// are to come keeps the sum in `kept` (n × width).
template <class X, class Y>
struct FinishPairs {
  PairParts parts;
  PairOperand<X, Y> of;
  double *kept, *r, *c;
  __device__ void operator()(std::int64_t e) const {
    const int i = static_cast<int>(e / parts.width), column = static_cast<int>(e % parts.width);
    const int block = i / pair_tile, end = parts.first + parts.count;
    if (block < parts.first) return;
    double sum = parts.first == 0 ? 0 : kept[e];
    for (int above = parts.first; above < smaller(block, end); ++above) sum += parts.below_at(above, i, column);
    if (block >= end) {
      kept[e] = sum;
      return;
    }
    for (int run = block / parts.run; run < parts.runs; ++run) sum += parts.own_at(block, run, i % pair_tile, column);
    if (column < of.q)
      of.out[i * of.out_stride + column] = static_cast<Y>(sum);
    else if (column == of.q && r != nullptr)
      r[i] = sum;
    else if (column > of.q && c != nullptr)
      c[i] = sum;
  }
};

/// Tiles in a run and rows of blocks at a time, from the sizes alone: about 512 blocks of threads or runs of 16, and
/// most_parts numbers of parts, or those of one row of blocks.
struct PairPlan {
  int run, together;
};

inline PairPlan pair_plan(index_t n, index_t q) {
  const index_t blocks = ceil_div(n, pair_tile), run = std::clamp<index_t>(blocks * (blocks + 1) / 1024, 1, 16);
  const index_t row = (n + ceil_div(blocks, run) * pair_tile) * (q + 2);
  return {static_cast<int>(run),
          static_cast<int>(std::clamp<index_t>(most_parts / row, 1, std::min<index_t>(blocks, 65535)))};
}

template <bool laplacian, class Entries, class X, class Y>
void multiply_pairs(const Stream& on, const PairFeatures& f, const Entries& entries, const PairOperand<X, Y>& of,
                    double* r, double* c, const PairPlan& plan) {
  const index_t n = f.n, width = of.q + 2, blocks = ceil_div(n, pair_tile), runs = ceil_div(blocks, plan.run);
  PairParts parts{f.n, static_cast<int>(width), plan.run, static_cast<int>(runs), 0, plan.together, nullptr, nullptr};
  parts.own = on.memory.take<double>(plan.together * runs * pair_tile * width);
  parts.below = on.memory.take<double>(plan.together * n * width);
  double* const kept = plan.together < blocks ? on.memory.take<double>(n * width) : nullptr;
  const unsigned columns = static_cast<unsigned>(ceil_div(of.q > 0 ? of.q : 1, pair_tile));
  for (; parts.first < blocks; parts.first += plan.together) {
    parts.count = static_cast<int>(std::min<index_t>(plan.together, blocks - parts.first));
    launch(on, "pair_products", pair_products<Entries, X, Y, laplacian>,
           dim3(static_cast<unsigned>(runs), static_cast<unsigned>(parts.count), columns), dim3(pair_side, pair_side),
           sizeof(PairShared<laplacian>), f, entries, of, parts);
    for_each(on, "finish_pairs", n * width, FinishPairs<X, Y>{parts, of, kept, r, c});
  }
}

template <bool laplacian, class Entries, class X, class Y>
void multiply_pairs(const Stream& on, const PairFeatures& f, const Entries& entries, const PairOperand<X, Y>& of,
                    double* r, double* c) {
  multiply_pairs<laplacian>(on, f, entries, of, r, c, pair_plan(f.n, of.q));
}

}  // namespace alphacl::cuda
