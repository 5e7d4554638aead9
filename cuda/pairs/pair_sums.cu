// Σ_j ψ(offset_i + t_ij) of rows.
#include "pairs/pair_sums.h"

#include "formulas/pair_forms.h"
#include "pairs/groups.h"
#include "pairs/score_tile.h"

namespace alphacl::cuda {
namespace {

union SumShared {
  PairTileShared scores;
  double of[pair_tile][pair_side + 1];  // of each thread
};

// parts: groups × rows. Operations for a pair: m multiply-adds (twice that for distances) and ψ; bytes: m/32 numbers
// through L2. 102 registers, 16 640 bytes of shared memory.
template <bool distances, class S>
__global__ void __launch_bounds__(256)
    sum_rows(ScoredPairs<S> pairs, PairSplit split, PairForm form, const double* offset, double* parts) {
  auto& s = simt::shared<SumShared>();
  const int tx = threadIdx.x, ty = threadIdx.y, i0 = blockIdx.x * pair_tile, group = blockIdx.y;
  double sum[pair_each] = {};
  for (int tile = split.begin(group); tile < split.begin(group + 1); ++tile) {
    const int j0 = tile * pair_tile;
    double t[pair_each][pair_each];
    score_tile<distances>(pairs, i0, j0, s.scores, t);
    with_form(form, [&](auto of_form) {
#pragma unroll
      for (int y = 0; y < pair_each; ++y) {
        const int i = i0 + y * pair_side + ty;
        const double at = i < pairs.own.rows ? offset[i] : 0.0;
#pragma unroll
        for (int x = 0; x < pair_each; ++x) {
          const double score = pairs.scale * t[y][x], value = pair_value<decltype(of_form)::value>(at + score);
          sum[y] += pairs.counts(i, j0 + x * pair_side + tx, score) ? value : 0.0;
        }
      }
    });
  }
  __syncthreads();
#pragma unroll
  for (int y = 0; y < pair_each; ++y) s.of[y * pair_side + ty][tx] = sum[y];
  __syncthreads();
  const int row = ty * pair_side + tx;
  if (row >= pair_tile || i0 + row >= pairs.own.rows) return;
  double whole = 0;
  for (int x = 0; x < pair_side; ++x) whole += s.of[row][x];
  parts[group * pairs.own.rows + i0 + row] = whole;
}

}  // namespace

template <class S>
void pair_sums(const Stream& on, const Pairs<S>& pairs, PairForm form, const double* offset, double* rows) {
  const ScoredPairs<S> owned = owned_by_left(pairs);
  const index_t n = owned.own.rows;
  const PairSplit split(n, owned.other.rows, 1);
  double* const parts = on.memory.take<double>(split.groups * n);
  launch(on, "sum_rows", pairs.distances ? sum_rows<true, S> : sum_rows<false, S>, split.grid(),
         dim3(pair_side, pair_side), sizeof(SumShared), owned, split, form, offset, parts);
  add_in_order(on, parts, split.groups, n, 1, 1.0, rows, 1);
}

template void pair_sums<float>(const Stream&, const Pairs<float>&, PairForm, const double*, double*);
template void pair_sums<double>(const Stream&, const Pairs<double>&, PairForm, const double*, double*);

}  // namespace alphacl::cuda
