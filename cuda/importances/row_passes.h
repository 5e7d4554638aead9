// What an importance has to know of each of its rows before it makes entries: found by passes over all pairs.
//
// A block owns 64 rows and walks all columns once per pass, until no row of it asks for another pass. The Rule says
// what a pass adds up (all on the device):
//     RowPart start(int pass)                          where nothing has been added
//     bool counts(int i, int j)                        whether the pair (i, j) is added
//     void add(RowState, int pass, double t, RowPart&) adds it, t = ½‖f_i − f_j‖²
//     void join(int pass, RowPart&, RowPart)           adds another part of the row
//     bool update(RowState&, int pass, RowPart)        whether another pass is needed
// Operations per pair and pass: 3m and those of add().
#pragma once

#include "importances/pair_products.h"

namespace alphacl::cuda {

struct RowState {
  double shift, value;
};

struct RowPart {
  double first, second;
};

struct RowShared {
  PairTileShared features;
  RowState state[pair_tile];
  int again[pair_tile];
};

template <class Rule>
__global__ void __launch_bounds__(256, 1) row_passes(PairFeatures f, Rule rule, RowState* states) {
  auto& s = simt::shared<RowShared>();
  const int tx = threadIdx.x, ty = threadIdx.y, thread = ty * pair_side + tx, i0 = blockIdx.x * pair_tile;
  if (thread < pair_tile) s.state[thread] = {0, 0};
  __syncthreads();
  for (int pass = 0;; ++pass) {
    RowPart part[pair_each];
    for (int a = 0; a < pair_each; ++a) part[a] = rule.start(pass);
    for (int j0 = 0; j0 < f.n; j0 += pair_tile) {
      double square[pair_each][pair_each];
      pair_tile_sums<true>(f.view(), f.view(), i0, j0, s.features, square);
#pragma unroll
      for (int a = 0; a < pair_each; ++a)
#pragma unroll
        for (int b = 0; b < pair_each; ++b) {
          const int row = a * pair_side + ty, j = j0 + b * pair_side + tx;
          if (i0 + row < f.n && j < f.n && rule.counts(i0 + row, j))
            rule.add(s.state[row], pass, 0.5 * square[a][b], part[a]);
        }
    }
    __syncthreads();  // the states have been read, and `again` of the pass before
#pragma unroll
    for (int a = 0; a < pair_each; ++a) {
      for (int k = pair_side / 2; k > 0; k /= 2) {
        const RowPart other = {__shfl_xor_sync(0xffffffffu, part[a].first, k),
                               __shfl_xor_sync(0xffffffffu, part[a].second, k)};
        rule.join(pass, part[a], other);
      }
      const int row = a * pair_side + ty;
      if (tx == 0) s.again[row] = i0 + row < f.n && rule.update(s.state[row], pass, part[a]) ? 1 : 0;
    }
    __syncthreads();
    int again = 0;
    for (int row = 0; row < pair_tile; ++row) again |= s.again[row];
    if (again == 0) break;
  }
  if (thread < pair_tile && i0 + thread < f.n) states[i0 + thread] = s.state[thread];
}

template <class Rule>
const RowState* row_states(const Stream& on, const PairFeatures& f, const Rule& rule, Workspace& memory) {
  RowState* const states = memory.take<RowState>(f.n);
  launch(on, "row_passes", row_passes<Rule>, dim3(static_cast<unsigned>(ceil_div(f.n, pair_tile))),
         dim3(pair_side, pair_side), sizeof(RowShared), f, rule, states);
  return states;
}

}  // namespace alphacl::cuda
