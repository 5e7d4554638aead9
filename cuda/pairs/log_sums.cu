// log Σ_j e^{t_ij} of rows and of columns.
#include "formulas/exponential.h"
#include "pairs/pair_sums.h"
#include "pairs/score_tile.h"
#include "pairs/split_pairs.h"

namespace alphacl::cuda {
namespace {

constexpr double minus_infinity = -HUGE_VAL;

// The logarithm of a sum of exponentials as sum · e^peak, peak the largest exponent. Nothing yet: −inf and 0.
struct LogSum {
  double peak, sum;

  // Where the sum has to begin for a new largest exponent. Nothing but −inf has been seen: 0, since −inf − (−inf) would
  // be NaN.
  __device__ static double base(double top) { return top == minus_infinity ? 0.0 : top; }

  __device__ void raise(double top) {
    if (!(top > peak)) return;
    sum *= exp_value(peak - base(top));
    peak = top;
  }
  __device__ void add(LogSum other) {
    raise(other.peak);
    sum += other.sum * exp_value(other.peak - base(peak));
  }
  __device__ double logarithm() const { return sum == 0 ? minus_infinity : peak + log_value(sum); }
};

union LogSumShared {
  PairTileShared scores;
  LogSum of[pair_tile][pair_side + 1];  // of each thread
};

// parts: groups × rows. Every thread has a sum of its own of the columns that it sees; threads are joined at the end.
// Operations for a pair: m multiply-adds (twice that for distances) and 1.25 exponentials of 22; bytes: m/32 numbers
// through L2. 110 registers, 17 408 bytes of shared memory.
template <bool distances, class S>
__global__ void __launch_bounds__(256, 2) log_sum_rows(ScoredPairs<S> pairs, PairSplit split, LogSum* parts) {
  auto& s = simt::shared<LogSumShared>();
  const int tx = threadIdx.x, ty = threadIdx.y, i0 = blockIdx.x * pair_tile, group = blockIdx.y;
  LogSum rows[pair_each];
#pragma unroll
  for (int y = 0; y < pair_each; ++y) rows[y] = {minus_infinity, 0};
  for (int tile = split.begin(group); tile < split.begin(group + 1); ++tile) {
    const int j0 = tile * pair_tile;
    double t[pair_each][pair_each];
    score_tile<distances>(pairs, i0, j0, s.scores, t);
#pragma unroll
    for (int y = 0; y < pair_each; ++y) {
      double top = minus_infinity;
#pragma unroll
      for (int x = 0; x < pair_each; ++x) {
        const double score = pairs.scale * t[y][x];
        t[y][x] = pairs.counts(i0 + y * pair_side + ty, j0 + x * pair_side + tx, score) ? score : minus_infinity;
        top = t[y][x] > top ? t[y][x] : top;
      }
      rows[y].raise(top);
      const double base = LogSum::base(rows[y].peak);
#pragma unroll
      for (int x = 0; x < pair_each; ++x) rows[y].sum += exp_value(t[y][x] - base);
    }
  }
  __syncthreads();
#pragma unroll
  for (int y = 0; y < pair_each; ++y) s.of[y * pair_side + ty][tx] = rows[y];
  __syncthreads();
  const int row = ty * pair_side + tx;
  if (row >= pair_tile || i0 + row >= pairs.own.rows) return;
  LogSum whole = s.of[row][0];
  for (int x = 1; x < pair_side; ++x) whole.add(s.of[row][x]);
  parts[group * pairs.own.rows + i0 + row] = whole;
}

// out_i = the logarithm of the groups' sums of row i, joined in their order. A thread a row: in the loop of
// `elementwise` its exponential would spill.
__global__ void __launch_bounds__(256) join_groups(const LogSum* parts, int groups, index_t rows, double* out) {
  const index_t i = static_cast<index_t>(blockIdx.x) * 256 + threadIdx.x;
  if (i >= rows) return;
  LogSum whole = parts[i];
  for (int g = 1; g < groups; ++g) whole.add(parts[g * rows + i]);
  out[i] = whole.logarithm();
}

template <class S>
void log_sums(const Stream& on, const ScoredPairs<S>& pairs, bool distances, double* out) {
  const index_t n = pairs.own.rows;
  const PairSplit split(n, pairs.other.rows, 1);
  LogSum* const parts = on.memory.take<LogSum>(split.groups * n);
  launch(on, "log_sum_rows", distances ? log_sum_rows<true, S> : log_sum_rows<false, S>, split.grid(),
         dim3(pair_side, pair_side), sizeof(LogSumShared), pairs, split, parts);
  launch(on, "join_groups", join_groups, dim3(static_cast<unsigned>(ceil_div(n, 256))), dim3(256), 0, parts,
         split.groups, n, out);
}

}  // namespace

template <class S>
void pair_log_sums(const Stream& on, const Pairs<S>& pairs, double* rows, double* cols) {
  if constexpr (sizeof(S) == 4)
    if (scores_are_split(pairs)) return split_log_sums(on, pairs, rows, cols);
  log_sums(on, owned_by_left(pairs), pairs.distances, rows);
  if (cols != nullptr) log_sums(on, owned_by_right(pairs), false, cols);
}

template void pair_log_sums<float>(const Stream&, const Pairs<float>&, double*, double*);
template void pair_log_sums<double>(const Stream&, const Pairs<double>&, double*, double*);

}  // namespace alphacl::cuda
