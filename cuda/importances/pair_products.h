// Products with an importance whose entries are made pair by pair, 64 × 64 of them at a time, each pair once.
//
// A block of 16 × 16 threads takes 64 rows i and a run of the tiles of columns j that are not left of them. A thread
// makes 4 × 4 entries from the features of its pairs, which lie in shared memory 16 columns at a time; they go to
// shared memory, α_ij and α_ji, and meet 64 columns of x twice, 16 rows at a time: those of j, for the rows i, which
// add up in registers over the run; and those of i, for the rows j, which are parts of the result. `finish_pairs` adds
// the parts of a row in their order. Every number has one owner: no atomics, the same bits on every run; runs depend on
// N alone. More columns of x are other blocks, which make the entries again. Operations per pair i < j: 3m for the
// distance, an entry, 2 · 2 · 64 for the products of a block, by tensor cores at twice the rate (sums/product_tile.h),
// or 2 · 3 · 64 for differences. Bytes: 16 (q + 3) for each row and tile of parts, written and read once. Registers:
// 128 (sm_80: 156), for differences up to 204; shared memory: 126 KiB for products, one block on a multiprocessor, 108
// KiB for the Laplacian, two on an H100, 76 KiB for differences. Limit: distances and entries in double, of differences
// themselves. Source: the symmetry α_ij, α_ji of a pair of samples (derived).
#pragma once

#include <type_traits>

#include "sums/elementwise.h"
#include "sums/gram.h"
#include "sums/pair_tile.h"
#include "sums/tile_differences.h"

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

using EntryTile = TileRow[pair_tile];

/// products: Σ_j α_ij x_j, and the sums Σ_j α_ij and Σ_j α_ji. With β_ij = α_ij + α_ji, but β_ii = 0: laplacian is Σ_j
/// β_ij x_j, and the sums Σ_j α_ij, Σ_j β_ij and Σ_j |β_ij|; differences is Σ_j β_ij (x_i − x_j) and no sum.
enum class PairWork { products, laplacian, differences };

ALPHACL_HOST_DEVICE constexpr int sums_of(PairWork work) {
  return work == PairWork::products ? 2 : work == PairWork::laplacian ? 3 : 0;
}

/// One tile of β_ij, or of α_ij and one of α_ji. Sums of the entries of each thread: by row over the run, by column
/// over a tile.
template <PairWork work>
struct PairShared {
  static constexpr int sums = sums_of(work) > 0 ? sums_of(work) : 1;
  PairTileShared features;
  EntryTile entry[work == PairWork::products ? 2 : 1];
  TileRow x[pair_depth];
  double row_sum[sums][pair_tile][pair_side], column_sum[sums][pair_side][pair_tile];
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

/// Parts of results, whose rows are q products and the sums of entries. For `count` rows of blocks from `first` on:
/// what a run gives to its own rows, and what a row of blocks gives to all rows below it. Rows are `stride` numbers
/// apart, an even one, so that two neighbours are written at once.
struct PairParts {
  int n, stride, run, runs, first, count;
  double* own;    // count × runs × 64 × stride
  double* below;  // count × n × stride

  __host__ __device__ int blocks() const { return (n + pair_tile - 1) / pair_tile; }
  __device__ double* own_row(int block, int of_run, int row) const {
    return own + ((static_cast<std::int64_t>(block - first) * runs + of_run) * pair_tile + row) * stride;
  }
  __device__ double* below_row(int block, int row) const {
    return below + (static_cast<std::int64_t>(block - first) * n + row) * stride;
  }
};

/// Writes the numbers of a row that belong to its q columns.
__device__ __forceinline__ void put(double* row, int column, int q, double number) {
  if (column < q) row[column] = number;
}
__device__ __forceinline__ void put(double* row, int column, int q, double number, double next) {
  if (column + 1 < q)
    store_pair(row[column], number, next);
  else
    put(row, column, q, number);
}

/// Whether one of 64 columns is.
__device__ __forceinline__ bool any_wanted(const double* wanted, int first, int q) {
  bool any = wanted == nullptr;
  for (int column = first; !any && column < smaller(q, first + pair_tile); ++column) any = wanted[column] != 0;
  return any;
}

/// The entries of a tile from the squared distances, and their sums.
template <PairWork work, class Entries>
__device__ __forceinline__ void make_entries(const PairFeatures& f, const Entries& entries, int i0, int j0,
                                             const double (&square)[pair_each][pair_each], PairShared<work>& s) {
  constexpr bool symmetric = work != PairWork::products;
  const int tx = threadIdx.x, ty = threadIdx.y;
#pragma unroll
  for (int e = 0; e < pair_each * pair_each; ++e)
    s.entry[0][e / pair_each * pair_side + ty][e % pair_each * pair_side + tx] = square[e / pair_each][e % pair_each];
#pragma unroll
  for (int sum = 0; sum < sums_of(work); ++sum)
#pragma unroll
    for (int b = 0; b < pair_each; ++b) s.column_sum[sum][ty][b * pair_side + tx] = 0;
  // Not unrolled: with sixteen copies of an exponential the registers do not suffice.
#pragma unroll 1
  for (int e = 0; e < pair_each * pair_each; ++e) {
    const int row = e / pair_each * pair_side + ty, column = e % pair_each * pair_side + tx;
    const int i = i0 + row, j = j0 + column;
    PairEntry entry = {0, 0};
    if (i < f.n && j < f.n) entry = entries(i, j, 0.5 * s.entry[0][row][column]);
    const double both = i == j ? 0.0 : entry.forth + entry.back;
    const double of_row[3] = {entry.forth, symmetric ? both : entry.back, fabs(both)};
    const double of_column[3] = {entry.back, symmetric ? both : entry.forth, fabs(both)};
#pragma unroll
    for (int sum = 0; sum < sums_of(work); ++sum) {
      s.row_sum[sum][row][tx] += of_row[sum];
      s.column_sum[sum][ty][column] += of_column[sum];
    }
    s.entry[0][row][column] = symmetric ? both : entry.forth;
    if constexpr (!symmetric) s.entry[1][row][column] = entry.back;
  }
}

template <PairWork work, bool across>
using PairSums = std::conditional_t<work == PairWork::differences, TileDifferences<across>, ProductTile<across>>;

/// Adds what the 64 samples from k0 on give to the rows from i0 on: `weights` has a row for each of these, or a column
/// where `across`.
template <PairWork work, bool across, class Operand>
__device__ __forceinline__ void multiply_tile(const Operand& of, int n, int first, int i0, int k0,
                                              const EntryTile& weights, PairShared<work>& s,
                                              PairSums<work, across>& sums) {
  if constexpr (work == PairWork::differences)
    sums.take([&](int row, int column) { return of.at(i0 + row, first + column, n); });
  for (int part = 0; part < pair_tile; part += pair_depth) {
    __syncthreads();  // the rows of x before have been read
    for (int e = threadIdx.y * pair_side + threadIdx.x; e < pair_depth * pair_tile; e += 256)
      s.x[e / pair_tile][e % pair_tile] = of.at(k0 + part + e / pair_tile, first + e % pair_tile, n);
    __syncthreads();
    sums.add(weights, part, s.x, of.q - first);
  }
}

/// What the tile (I, J) gives to the rows of J.
template <PairWork work, class Operand>
__device__ __forceinline__ void give_below(const Operand& of, const PairParts& parts, int block, int j0, int first,
                                           PairShared<work>& s) {
  const int thread = threadIdx.y * pair_side + threadIdx.x;
  if (of.q > 0) {
    constexpr int back = work == PairWork::products ? 1 : 0;
    PairSums<work, true> sums;
    multiply_tile<work, true>(of, parts.n, first, j0, block * pair_tile, s.entry[back], s, sums);
    sums.each([&](int row, int column, auto... numbers) {
      if (j0 + row < parts.n) put(parts.below_row(block, j0 + row), first + column, of.q, numbers...);
    });
  }
  if (blockIdx.z != 0 || thread >= pair_tile || j0 + thread >= parts.n) return;
  for (int sum = 0; sum < sums_of(work); ++sum) {
    double whole = 0;
    for (int k = 0; k < pair_side; ++k) whole += s.column_sum[sum][k][thread];
    parts.below_row(block, j0 + thread)[of.q + sum] = whole;
  }
}

/// Parts of the products and the sums. wanted: of q columns those that are to be computed; null: all. Grid: runs, rows
/// of blocks, blocks of columns of x (at least one); block: 16 × 16.
template <PairWork work, class Entries, class X, class Y>
__global__ void __launch_bounds__(256)
    pair_products(PairFeatures f, Entries entries, PairOperand<X, Y> of, PairParts parts, const double* wanted) {
  auto& s = simt::shared<PairShared<work>>();
  const int tx = threadIdx.x, ty = threadIdx.y, run = blockIdx.x;
  const int block = parts.first + static_cast<int>(blockIdx.y), first = static_cast<int>(blockIdx.z) * pair_tile;
  const int begin = larger(block, run * parts.run), end = smaller(parts.blocks(), (run + 1) * parts.run);
  if (begin >= end || !any_wanted(wanted, first, of.q)) return;  // left of the diagonal, or nobody's columns
  PairSums<work, false> product;
#pragma unroll
  for (int sum = 0; sum < sums_of(work); ++sum)
#pragma unroll
    for (int a = 0; a < pair_each; ++a) s.row_sum[sum][a * pair_side + ty][tx] = 0;
  for (int other = begin; other < end; ++other) {
    const int i0 = block * pair_tile, j0 = other * pair_tile;
    double square[pair_each][pair_each];
    pair_tile_sums<true>(f.view(), f.view(), i0, j0, s.features, square);
    __syncthreads();  // the entries of the tile before have been read
    make_entries(f, entries, i0, j0, square, s);
    __syncthreads();  // the entries are there
    if (of.q > 0) multiply_tile<work, false>(of, f.n, first, i0, j0, s.entry[0], s, product);
    if (other != block) give_below(of, parts, block, j0, first, s);
  }
#pragma unroll
  for (int a = 0; a < pair_each; ++a)
    for (int sum = 0; sum < sums_of(work); ++sum) {
      const int row = a * pair_side + ty;
      const double whole = row_total(s.row_sum[sum][row][tx]);
      if (tx == 0 && blockIdx.z == 0) parts.own_row(block, run, row)[of.q + sum] = whole;
    }
  product.each([&](int row, int column, auto... numbers) {
    put(parts.own_row(block, run, row), first + column, of.q, numbers...);
  });
}

/// Adds parts: those that a row got from the rows of blocks above it, then those of its own runs. A row whose own runs
/// are to come keeps the sum in `kept` (n × width).
template <class X, class Y>
struct FinishPairs {
  PairParts parts;
  PairOperand<X, Y> of;
  const double* wanted;  // as above
  int width;             // q and the sums
  double *kept, *sums[3];
  __device__ void operator()(std::int64_t e) const {
    const int i = static_cast<int>(e / width), column = static_cast<int>(e % width);
    const int block = i / pair_tile, end = parts.first + parts.count;
    if (block < parts.first || (wanted != nullptr && wanted[column] == 0)) return;
    double sum = parts.first == 0 ? 0 : kept[e];
    for (int above = parts.first; above < smaller(block, end); ++above) sum += parts.below_row(above, i)[column];
    if (block >= end) {
      kept[e] = sum;
      return;
    }
    for (int run = block / parts.run; run < parts.runs; ++run) sum += parts.own_row(block, run, i % pair_tile)[column];
    if (column < of.q) {
      of.out[i * of.out_stride + column] = static_cast<Y>(sum);
      return;
    }
    double* const to = column == of.q ? sums[0] : column == of.q + 1 ? sums[1] : sums[2];
    if (to != nullptr) to[i] = sum;
  }
};

/// Tiles in a run and rows of blocks at a time, from the sizes alone: about 512 blocks of threads or runs of 16, and
/// most_parts numbers of parts, or those of one row of blocks.
struct PairPlan {
  int run, together;
};

inline PairPlan pair_plan(index_t n, index_t q) {
  const index_t blocks = ceil_div(n, pair_tile), run = std::clamp<index_t>(blocks * (blocks + 1) / 1024, 1, 16);
  const index_t row = (n + ceil_div(blocks, run) * pair_tile) * (q + 3);
  return {static_cast<int>(run),
          static_cast<int>(std::clamp<index_t>(most_parts / row, 1, std::min<index_t>(blocks, 65535)))};
}

/// The products to of.out and the sums of entries to `sums`, null where they are not wanted.
template <PairWork work, class Entries, class X, class Y>
void multiply_pairs(const Stream& on, const PairFeatures& f, const Entries& entries, const PairOperand<X, Y>& of,
                    const PairPlan& plan, const double* wanted, double* first_sum, double* second_sum = nullptr,
                    double* third_sum = nullptr) {
  const index_t n = f.n, width = of.q + sums_of(work), stride = (width + 1) / 2 * 2;
  const index_t blocks = ceil_div(n, pair_tile), runs = ceil_div(blocks, plan.run);
  PairParts parts{f.n, static_cast<int>(stride), plan.run, static_cast<int>(runs), 0, plan.together, nullptr, nullptr};
  parts.own = on.memory.take<double>(plan.together * runs * pair_tile * stride);
  parts.below = on.memory.take<double>(plan.together * n * stride);
  double* const kept = plan.together < blocks ? on.memory.take<double>(n * width) : nullptr;
  const unsigned columns = static_cast<unsigned>(ceil_div(of.q > 0 ? of.q : 1, pair_tile));
  for (; parts.first < blocks; parts.first += plan.together) {
    parts.count = static_cast<int>(std::min<index_t>(plan.together, blocks - parts.first));
    launch(on, "pair_products", pair_products<work, Entries, X, Y>,
           dim3(static_cast<unsigned>(runs), static_cast<unsigned>(parts.count), columns), dim3(pair_side, pair_side),
           sizeof(PairShared<work>), f, entries, of, parts, wanted);
    const FinishPairs<X, Y> finish{
        parts, of, wanted, static_cast<int>(width), kept, {first_sum, second_sum, third_sum}};
    for_each(on, "finish_pairs", n * width, finish);
  }
}

}  // namespace alphacl::cuda
