// Gradients of sums over pairs: weights of a tile of pairs, times the features of its columns.
//
// The gradient of row i is scale · Σ_j w_ij g_j, for distances scale · Σ_j w_ij (f_j − f_i), a sum of differences, so
// that nothing cancels. w_ij = a_i ψ'(at_i + t_ij) + b_j ψ'(at_j + t_ij); for e^x at is subtracted. A block owns 64
// rows and 64 columns of the features, and computes the scores of its rows again for each 64 columns.
#include <type_traits>

#include "formulas/pair_forms.h"
#include "pairs/groups.h"
#include "pairs/pair_sums.h"
#include "pairs/score_tile.h"
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
  TileRow weight[pair_tile];
};

// What the blocks of a launch write: groups × rows × m, and groups × rows.
struct GradientParts {
  double* rows;
  double* own;       // Σ_j of the first term of w_ij; null where nobody asks
  double* of_scale;  // Σ_j w_ij t_ij/scale; null where nobody asks
};

// Writes the weights of a tile of scores and adds them to the sums of the thread's rows.
template <PairForm form, class S>
__device__ __forceinline__ void weigh(const ScoredPairs<S>& pairs, const SideTerms& first, const SideTerms& second,
                                      int i0, int j0, const double (&t)[pair_each][pair_each], TileRow* to,
                                      double (&own)[pair_each], double (&of_scale)[pair_each]) {
  const int tx = threadIdx.x, ty = threadIdx.y;
  double at_j[pair_each], b[pair_each];
#pragma unroll
  for (int x = 0; x < pair_each; ++x) second.of(j0 + x * pair_side + tx, pairs.other.rows, form, at_j[x], b[x]);
#pragma unroll
  for (int y = 0; y < pair_each; ++y) {
    const int i = i0 + y * pair_side + ty;
    double at_i, a;
    first.of(i, pairs.own.rows, form, at_i, a);
#pragma unroll
    for (int x = 0; x < pair_each; ++x) {
      const double score = pairs.scale * t[y][x];
      const bool counts = pairs.counts(i, j0 + x * pair_side + tx, score);
      const double here = counts && first.at != nullptr ? a * pair_slope<form>(at_i + score) : 0.0;
      const double there = counts && second.at != nullptr ? b[x] * pair_slope<form>(at_j[x] + score) : 0.0;
      const double weight = here + there;
      to[y * pair_side + ty][x * pair_side + tx] = weight;
      own[y] += here;
      of_scale[y] = counts ? fma(weight, t[y][x], of_scale[y]) : of_scale[y];
    }
  }
}

// Distances: the sums of w_ij (f_i − g_j), which are those of the gradient with the other sign.
template <bool distances>
using GradientSums = std::conditional_t<distances, TileDifferences<false>, ProductTile<false>>;

// Adds the terms of the tile's j to the sums of its rows; `other` is staged 16 samples at a time.
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

// Operations for a pair: m multiply-adds for each 64 columns and m for all, both by tensor cores, slopes of ψ for each
// 64 columns (distances: twice as many operations, no tensor cores); bytes: m/4 numbers for each 64 columns, through
// L2. 210 registers, 227 for distances; 52 224 bytes of shared memory. Limit: slopes where m is small, else tensor
// cores.
template <bool distances, class S>
__global__ void __launch_bounds__(256) gradient_rows(ScoredPairs<S> pairs, PairSplit split, PairForm form,
                                                     SideTerms first, SideTerms second, GradientParts parts) {
  auto& s = simt::shared<GradientShared>();
  const int tx = threadIdx.x, ty = threadIdx.y, group = blockIdx.y;
  const int i0 = blockIdx.x % split.own_tiles * pair_tile, c0 = blockIdx.x / split.own_tiles * pair_tile;
  const index_t n = pairs.own.rows, m = pairs.own.cols;
  const int width = static_cast<int>(m - c0 < pair_tile ? m - c0 : pair_tile);
  double own[pair_each] = {}, of_scale[pair_each] = {};
  GradientSums<distances> sums;
  if constexpr (distances)
    sums.take([&](int row, int column) -> double {
      return i0 + row < n && column < width ? pairs.own.data[(i0 + row) * pairs.own.stride + c0 + column] : S(0);
    });
  for (int tile = split.begin(group); tile < split.begin(group + 1); ++tile) {
    const int j0 = tile * pair_tile;
    double t[pair_each][pair_each];
    score_tile<distances>(pairs, i0, j0, s.scores, t);
    __syncthreads();  // the weights before have been read, also where there are no features to stage
    with_form(form, [&](auto of_form) {
      weigh<decltype(of_form)::value>(pairs, first, second, i0, j0, t, s.weight, own, of_scale);
    });
    multiply<distances>(pairs.other, j0, c0, width, s, sums);
  }
  sums.each([&](int row, int column, auto... numbers) {
    const double all[] = {numbers...};
    double* const to = parts.rows + (group * n + i0 + row) * m + c0 + column;
#pragma unroll
    for (int x = 0; x < static_cast<int>(sizeof...(numbers)); ++x)
      if (i0 + row < n && column + x < width) to[x] = distances ? -all[x] : all[x];
  });
  __syncthreads();
#pragma unroll
  for (int y = 0; y < pair_each; ++y) {
    s.weight[y * pair_side + ty][tx] = own[y];
    s.weight[y * pair_side + ty][pair_side + tx] = of_scale[y];
  }
  __syncthreads();
  const int row = ty * pair_side + tx;
  if (row >= pair_tile || i0 + row >= n || c0 > 0) return;
  double own_sum = 0, scale_sum = 0;
  for (int x = 0; x < pair_side; ++x) {
    own_sum += s.weight[row][x];
    scale_sum += s.weight[row][pair_side + x];
  }
  if (parts.own != nullptr) parts.own[group * n + i0 + row] = own_sum;
  if (parts.of_scale != nullptr) parts.of_scale[group * n + i0 + row] = scale_sum;
}

// The gradient of one set; offsets and of_scale may be null. `share` of the sum over all pairs is written to *of_scale.
template <class S>
void gradient(const Stream& on, const ScoredPairs<S>& pairs, bool distances, PairForm form, SideTerms first,
              SideTerms second, View<S> out, double* offsets, double share, double* of_scale) {
  const index_t n = pairs.own.rows, m = pairs.own.cols;
  const PairSplit split(n, pairs.other.rows, std::max<index_t>(ceil_div(m, pair_tile), 1));
  GradientParts parts{};
  parts.rows = on.memory.take<double>(split.groups * n * m);
  if (offsets != nullptr) parts.own = on.memory.take<double>(split.groups * n);
  if (of_scale != nullptr) parts.of_scale = on.memory.take<double>(split.groups * n);
  launch(on, "gradient_rows", distances ? gradient_rows<true, S> : gradient_rows<false, S>, split.grid(),
         dim3(pair_side, pair_side), sizeof(GradientShared), pairs, split, form, first, second, parts);
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
  const PairForm form = PairForm::exponential;
  const bool one_set = pairs.right.data == nullptr;
  const SideTerms of_rows{rows, a}, of_cols{cols, b};
  // One set: every pair is counted from both of its ends.
  gradient(on, owned_by_left(pairs), pairs.distances, form, of_rows, one_set ? of_rows : of_cols, left, nullptr,
           one_set ? 0.5 : 1.0, of_scale);
  if (!one_set) gradient(on, owned_by_right(pairs), false, form, of_cols, of_rows, right, nullptr, 1.0, nullptr);
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
