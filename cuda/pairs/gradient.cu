// Gradients of sums over pairs: weights of a tile of pairs, times the features of its columns.
//
// The gradient of row i is scale · Σ_j w_ij g_j, for distances scale · Σ_j w_ij (f_j − f_i), a sum of differences, so
// that nothing cancels. w_ij = a_i ψ'(at_i + t_ij) + b_j ψ'(at_j + t_ij); for e^x at is subtracted. A block owns 64
// rows and up to 256 columns of the features (64 for distances), for which it computes the scores of its rows once.
#include <type_traits>

#include "formulas/pair_forms.h"
#include "pairs/groups.h"
#include "pairs/pair_sums.h"
#include "pairs/score_tile.h"
#include "pairs/split_pairs.h"
#include "sums/tile_differences.h"

namespace alphacl::cuda {
namespace {

// The weights and offsets of the sums of one set; null: there are no such sums.
struct SideTerms {
  const double *at, *weight;

  // A sample without partners, or with scores of −inf alone, has the logarithm −inf: its slopes are 0 from any offset.
  __device__ void of(index_t i, index_t n, PairForm form, double& offset, double& a) const {
    const bool there = at != nullptr && i < n;
    offset = there ? at[i] : 0.0;
    a = there ? weight[i] : 0.0;
    if (form != PairForm::exponential) return;
    offset = offset == -HUGE_VAL ? 0.0 : -offset;
  }
};

struct GradientShared {
  PairTileShared scores;
  // Scores, then weights of the tile, and each thread's sums of its rows: not in registers, which the columns need.
  TileRow weight[pair_tile];
  double own[pair_tile][pair_side + 1], of_scale[pair_tile][pair_side + 1];
};

// What the blocks of a launch write: groups × rows × m, and groups × rows.
struct GradientParts {
  double* rows;
  double* own;       // Σ_j of the first term of w_ij; null where nobody asks
  double* of_scale;  // Σ_j w_ij t_ij/scale; null where nobody asks
};

// Turns the thread's scores of a tile into weights and adds these to the sums of its rows, `at_once` of them side by
// side: where two blocks hide one another's latency, one.
template <PairForm form, int at_once, class S>
__device__ __forceinline__ void weigh(const ScoredPairs<S>& pairs, const SideTerms& first, const SideTerms& second,
                                      int i0, int j0, GradientShared& s) {
  const int tx = threadIdx.x, ty = threadIdx.y;
#pragma unroll 1
  for (int y = 0; y < pair_each; ++y) {
    const int row = y * pair_side + ty;
    double at_i, a, own = s.own[row][tx], of_scale = s.of_scale[row][tx];
    first.of(i0 + row, pairs.own.rows, form, at_i, a);
#pragma unroll at_once
    for (int x = 0; x < pair_each; ++x) {
      const int column = x * pair_side + tx;
      double& entry = s.weight[row][column];
      double at_j, b;
      second.of(j0 + column, pairs.other.rows, form, at_j, b);
      const double t = entry, score = pairs.scale * t;
      const bool counts = pairs.counts(i0 + row, j0 + column, score);
      const double here = counts && first.at != nullptr ? a * pair_slope<form>(at_i + score) : 0.0;
      const double there = counts && second.at != nullptr ? b * pair_slope<form>(at_j + score) : 0.0;
      const double weight = here + there;
      entry = weight;
      own += here;
      of_scale = counts ? fma(weight, t, of_scale) : of_scale;
    }
    s.own[row][tx] = own;
    s.of_scale[row][tx] = of_scale;
  }
}

// Distances: the sums of w_ij (f_i − g_j), which are those of the gradient with the other sign.
template <bool distances>
using GradientSums = std::conditional_t<distances, TileDifferences<false>, ProductTile<false>>;

// Adds the terms of the tile's j to the sums of its rows, `width` columns from c0 on; `other` is staged 16 samples at a
// time.
template <bool distances, class S>
__device__ __forceinline__ void multiply(const View<const S>& other, int j0, int c0, int width, GradientShared& s,
                                         GradientSums<distances>& sums) {
  for (int j = 0; j < pair_tile; j += pair_depth) {
    if (j0 + j >= other.rows) break;
    __syncthreads();  // the weights are written; what was here has been read
    for (int e = threadIdx.y * pair_side + threadIdx.x; e < pair_depth * pair_tile; e += pair_side * pair_side) {
      const int r = e / pair_tile, c = e % pair_tile;
      const bool in = j0 + j + r < other.rows && c < width;
      s.scores.other[r][c] = in ? other.data[(j0 + j + r) * other.stride + c0 + c] : S(0);
    }
    __syncthreads();
    sums.add(s.weight, j, s.scores.other, width);
  }
}

// Whether a multiprocessor has room for two blocks.
template <bool distances, int tiles>
constexpr bool two_blocks = !distances && tiles == 1;

// Of 64 `tiles` columns. Operations for a pair: m multiply-adds for the columns of all blocks and m for the score in
// each block, both by tensor cores, and its slopes of ψ (distances: twice as many operations, no tensor cores); through
// L2 m/32 + `tiles` numbers for each block. Few samples make few blocks, which take longer, the wider they are: at
// N = 512, m = 256, by count, 8 products of tiles one after the other where 64 columns would take 5. 128, 194 and 254
// registers for 1, 2 and 4 tiles, 184 for distances; 69 632 bytes of shared memory. Limit: slopes where m is small,
// else tensor cores.
template <bool distances, int tiles, class S>
__global__ void __launch_bounds__(256, two_blocks<distances, tiles> ? 2 : 1)
    gradient_rows(ScoredPairs<S> pairs, PairSplit split, PairForm form, SideTerms first, SideTerms second,
                  GradientParts parts) {
  auto& s = simt::shared<GradientShared>();
  const int tx = threadIdx.x, ty = threadIdx.y, group = blockIdx.y;
  const int i0 = blockIdx.x % split.own_tiles * pair_tile, c0 = blockIdx.x / split.own_tiles * (tiles * pair_tile);
  const index_t n = pairs.own.rows;
  const int m = static_cast<int>(pairs.own.cols);
  const auto width = [m](int c) { return m - c < pair_tile ? m - c : pair_tile; };
#pragma unroll
  for (int y = 0; y < pair_each; ++y) s.own[y * pair_side + ty][tx] = s.of_scale[y * pair_side + ty][tx] = 0;
  GradientSums<distances> sums[tiles];
  if constexpr (distances)
    sums[0].take([&](int row, int column) -> double {
      return i0 + row < n && column < width(c0) ? pairs.own.data[(i0 + row) * pairs.own.stride + c0 + column] : S(0);
    });
  for (int tile = split.begin(group); tile < split.begin(group + 1); ++tile) {
    const int j0 = tile * pair_tile;
    double t[pair_each][pair_each];
    score_tile<distances>(pairs, i0, j0, s.scores, t);
    __syncthreads();  // the weights before have been read, also where there are no features to stage
#pragma unroll
    for (int y = 0; y < pair_each; ++y)
#pragma unroll
      for (int x = 0; x < pair_each; ++x) s.weight[y * pair_side + ty][x * pair_side + tx] = t[y][x];
    with_form(form, [&](auto of_form) {
      weigh<decltype(of_form)::value, two_blocks<distances, tiles> ? 1 : pair_each>(pairs, first, second, i0, j0, s);
    });
#pragma unroll
    for (int c = 0; c < tiles; ++c)
      if (c0 + c * pair_tile < m)
        multiply<distances>(pairs.other, j0, c0 + c * pair_tile, width(c0 + c * pair_tile), s, sums[c]);
  }
#pragma unroll
  for (int c = 0; c < tiles; ++c)
    sums[c].each([&](int row, int column, auto... numbers) {
      const double all[] = {numbers...};
      const int first_column = c0 + c * pair_tile + column;
      double* const to = parts.rows + (group * n + i0 + row) * m + first_column;
#pragma unroll
      for (int x = 0; x < static_cast<int>(sizeof...(numbers)); ++x)
        if (i0 + row < n && first_column + x < m) to[x] = distances ? -all[x] : all[x];
    });
  __syncthreads();
  const int row = ty * pair_side + tx;
  if (row >= pair_tile || i0 + row >= n || c0 > 0) return;
  double own_sum = 0, scale_sum = 0;
  for (int x = 0; x < pair_side; ++x) {
    own_sum += s.own[row][x];
    scale_sum += s.of_scale[row][x];
  }
  if (parts.own != nullptr) parts.own[group * n + i0 + row] = own_sum;
  if (parts.of_scale != nullptr) parts.of_scale[group * n + i0 + row] = scale_sum;
}

// The gradient of one set; offsets and of_scale may be null. `share` of the sum over all pairs is written to *of_scale.
template <class S>
void gradient(const Stream& on, const ScoredPairs<S>& pairs, bool distances, PairForm form, SideTerms first,
              SideTerms second, View<S> out, double* offsets, double share, double* of_scale) {
  const index_t n = pairs.own.rows, m = pairs.own.cols;
  const int tiles = distances || m <= pair_tile ? 1 : m <= 2 * pair_tile ? 2 : 4;
  const PairSplit split(n, pairs.other.rows, std::max<index_t>(ceil_div(m, tiles * pair_tile), 1));
  GradientParts parts{};
  parts.rows = on.memory.take<double>(split.groups * n * m);
  if (offsets != nullptr) parts.own = on.memory.take<double>(split.groups * n);
  if (of_scale != nullptr) parts.of_scale = on.memory.take<double>(split.groups * n);
  const auto rows = distances    ? gradient_rows<true, 1, S>
                    : tiles == 1 ? gradient_rows<false, 1, S>
                    : tiles == 2 ? gradient_rows<false, 2, S>
                                 : gradient_rows<false, 4, S>;
  launch(on, "gradient_rows", rows, split.grid(), dim3(pair_side, pair_side), sizeof(GradientShared), pairs, split,
         form, first, second, parts);
  add_in_order(on, parts.rows, split.groups, n, m, pairs.scale, out.data, out.stride);
  if (offsets != nullptr) add_in_order(on, parts.own, split.groups, n, 1, 1.0, offsets, 1);
  if (of_scale != nullptr)
    launch(on, "add_all", add_all<double>, dim3(1), dim3(256), sizeof(AddAllShared), parts.of_scale, split.groups * n,
           share, of_scale);
}

}  // namespace

template <class S>
void pair_log_sums_gradient(const Stream& on, const Pairs<S>& pairs, const double* rows, const double* cols,
                            const double* a, const double* b, View<S> left, View<S> right, double* of_scale) {
  if constexpr (sizeof(S) == 4)
    if (scores_are_split(pairs)) return split_log_sums_gradient(on, pairs, rows, cols, a, b, left, right, of_scale);
  const PairForm form = PairForm::exponential;
  const bool one_set = pairs.right.data == nullptr;
  const SideTerms of_rows{rows, a}, of_cols{cols, b};
  // One set: every pair is counted from both of its ends.
  gradient(on, owned_by_left(pairs), pairs.distances, form, of_rows, one_set ? of_rows : of_cols, left, nullptr,
           one_set ? 0.5 : 1.0, of_scale);
  if (right.data != nullptr)
    gradient(on, owned_by_right(pairs), false, form, of_cols, of_rows, right, nullptr, 1.0, nullptr);
}

template <class S>
void pair_sums_gradient(const Stream& on, const Pairs<S>& pairs, PairForm form, const double* offset, const double* a,
                        View<S> left, View<S> right, double* offsets, double* of_scale) {
  const bool one_set = pairs.right.data == nullptr;
  const SideTerms of_rows{offset, a}, none{nullptr, nullptr};
  gradient(on, owned_by_left(pairs), pairs.distances, form, of_rows, one_set ? of_rows : none, left, offsets,
           one_set ? 0.5 : 1.0, of_scale);
  if (!one_set) gradient(on, owned_by_right(pairs), false, form, none, of_rows, right, nullptr, 1.0, nullptr);
}

#define ALPHACL_PAIRS(S)                                                                                               \
  template void pair_log_sums_gradient<S>(const Stream&, const Pairs<S>&, const double*, const double*, const double*, \
                                          const double*, View<S>, View<S>, double*);                                   \
  template void pair_sums_gradient<S>(const Stream&, const Pairs<S>&, PairForm, const double*, const double*, View<S>, \
                                      View<S>, double*, double*);
ALPHACL_PAIRS(float)
ALPHACL_PAIRS(double)
#undef ALPHACL_PAIRS

}  // namespace alphacl::cuda
