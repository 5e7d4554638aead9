// Log-sums of bounded scores of floats and their gradients, by products of bfloat16.
#include "pairs/split_pairs.h"

#include "formulas/exponential.h"
#include "pairs/groups.h"
#include "pairs/pair_sums.h"
#include "pairs/score_tile.h"
#include "sums/split_tile.h"

namespace alphacl::cuda {
namespace {

// Words of a row of numbers, of which a whole number of `together` is taken at a time.
inline index_t words_of(index_t numbers, index_t together) { return ceil_div(numbers, together) * together / 2; }

// Word w of row i holds the features 2w and 2w + 1 of sample i.
struct SplitSamples {
  View<const float> f;
  index_t width;
  SplitWord* to;
  __device__ void operator()(std::int64_t e) const {
    const index_t i = e / width, k = e % width * 2;
    const float* const row = f.data + i * f.stride;
    const SplitPair pair = split_pair(k < f.cols ? row[k] : 0.0f, k + 1 < f.cols ? row[k + 1] : 0.0f);
#pragma unroll
    for (int p = 0; p < split_parts; ++p) to[(p * f.rows * width) + e] = pair.part[p];
  }
};

// Word w of row k holds the feature k of the samples 2w and 2w + 1.
struct SplitFeatures {
  View<const float> f;
  index_t width;
  SplitWord* to;
  __device__ void operator()(std::int64_t e) const {
    const index_t k = e % f.cols, w = e / f.cols, i = 2 * w;
    const float* const column = f.data + k;
    const SplitPair pair =
        split_pair(i < f.rows ? column[i * f.stride] : 0.0f, i + 1 < f.rows ? column[(i + 1) * f.stride] : 0.0f);
#pragma unroll
    for (int p = 0; p < split_parts; ++p) to[(p * f.cols + k) * width + w] = pair.part[p];
  }
};

SplitRows by_sample(const Stream& on, View<const float> f) {
  const index_t width = words_of(f.cols, 2 * split_words);
  SplitWord* const words = on.memory.take<SplitWord>(split_parts * f.rows * width);
  for_each(on, "split_samples", f.rows * width, SplitSamples{f, width, words});
  return {words, f.rows, width};
}

SplitRows by_feature(const Stream& on, View<const float> f) {
  const index_t width = words_of(f.rows, split_tile);
  SplitWord* const words = on.memory.take<SplitWord>(split_parts * f.cols * width);
  for_each(on, "split_features", f.cols * width, SplitFeatures{f, width, words});
  return {words, f.cols, width};
}

struct SplitPairs {
  ScoredPairs<float> pairs;
  SplitRows own, other;
  double bound;

  // e^{t_ij − bound} of t = f_i·f_j; 0 for pairs that do not count.
  __device__ float exponential(int i, int j, double t) const {
    const double score = pairs.scale * t;
    return pairs.counts(i, j, score) ? exp_float(score - bound) : 0.0f;
  }
};

struct SplitStage {
  SplitTileRows<split_words> own, other;
};

// t = f_i·f_j of the pairs of a tile, in chains of 64 features.
template <int down>
__device__ __forceinline__ void split_scores(const SplitPairs& pairs, int i0, int j0, SplitStage& s,
                                             typename SplitTile<down>::Numbers& t) {
  using Tile = SplitTile<down>;
  Tile tile;
#pragma unroll
  for (int y = 0; y < down; ++y)
#pragma unroll
    for (int x = 0; x < Tile::across; ++x)
#pragma unroll
      for (int i = 0; i < Tile::each; ++i) t[y][x][i] = 0;
  const int width = static_cast<int>(pairs.own.width);
  for (int w = 0; w < width; w += split_words) {
    __syncthreads();  // what was here has been read
    stage_rows<Tile::threads>(pairs.own, i0, w, s.own);
    stage_rows<Tile::threads>(pairs.other, j0, w, s.other);
    __syncthreads();
    tile.add(s.own, 0, s.other);
    if (w % tile_words != 0 || w + split_words == width) tile.empty_into(t);
  }
}

// A number of each row by two warps, whose four lanes that share the row have a part each.
struct RowTotals {
  double of[2][split_tile];

  // Of the row row(y, i), by all lanes of a warp.
  template <int down>
  __device__ void put(int y, int i, double part) {
    using Tile = SplitTile<down>;
    part += __shfl_xor_sync(~0u, part, 1);
    part += __shfl_xor_sync(~0u, part, 2);
    if (Tile::in_group() == 0) of[Tile::warp_column()][Tile::row(y, i)] = part;
  }
  __device__ double total(int row) const { return of[0][row] + of[1][row]; }
};

// Sums have four warps of 32 × 32 pairs, gradients, whose columns need the registers, eight of 16 × 32.
using SumTile = SplitTile<2>;
using GradientTile = SplitTile<1>;

struct SplitSumShared {
  SplitStage stage;
  RowTotals sums;
  float columns[SumTile::warps_down][split_tile];  // of the rows of a warp
};

// Of the rows from tile `first` on. rows: groups × all rows; columns: tiles of rows × columns. Sums of 8 numbers of a
// row and of 32 of a column are floats, those of more double. Operations for a pair: 6 m multiply-adds by tensor cores,
// 16 for the exponential; bytes: 3m/32 numbers of bfloat16 through L2. 254 registers, 32 256 bytes of shared memory.
template <bool columns>
__global__ void __launch_bounds__(SumTile::threads, 2)
    split_sum_rows(SplitPairs pairs, PairSplit shares, int first, double* of_rows, double* of_columns) {
  auto& s = simt::shared<SplitSumShared>();
  const int i0 = (first + static_cast<int>(blockIdx.x)) * split_tile, group = blockIdx.y, thread = threadIdx.x;
  double sums[2][2] = {};
  for (int tile = shares.begin(group); tile < shares.begin(group + 1); ++tile) {
    const int j0 = tile * split_tile;
    SumTile::Numbers t;
    split_scores<2>(pairs, i0, j0, s.stage, t);
    float rows[2][2] = {};
#pragma unroll
    for (int x = 0; x < SumTile::across; ++x) {
      float of_column[2] = {};
#pragma unroll
      for (int y = 0; y < 2; ++y)
#pragma unroll
        for (int i = 0; i < SumTile::each; ++i) {
          const float e = pairs.exponential(i0 + SumTile::row(y, i), j0 + SumTile::column(x, i), t[y][x][i]);
          rows[y][i / 2] += e;
          of_column[i % 2] += e;
        }
      if constexpr (columns) {
#pragma unroll
        for (int i = 0; i < 2; ++i) {
          float sum = of_column[i];
#pragma unroll
          for (int apart = 4; apart < 32; apart *= 2) sum += __shfl_xor_sync(~0u, sum, apart);
          if (SumTile::group() == 0) s.columns[SumTile::warp_row()][SumTile::column(x, i)] = sum;
        }
      }
    }
#pragma unroll
    for (int y = 0; y < 2; ++y)
#pragma unroll
      for (int half = 0; half < 2; ++half) sums[y][half] += rows[y][half];
    if constexpr (columns) {
      __syncthreads();
      if (thread < split_tile && j0 + thread < pairs.other.rows)
        of_columns[blockIdx.x * pairs.other.rows + j0 + thread] =
            static_cast<double>(s.columns[0][thread]) + static_cast<double>(s.columns[1][thread]);
    }
  }
#pragma unroll
  for (int y = 0; y < 2; ++y)
#pragma unroll
    for (int half = 0; half < 2; ++half) s.sums.put<2>(y, 2 * half, sums[y][half]);
  __syncthreads();
  if (thread < split_tile && i0 + thread < pairs.own.rows)
    of_rows[group * pairs.own.rows + i0 + thread] = s.sums.total(thread);
}

// to_j += Σ of the tiles' sums of column j, in their order.
struct AddTiles {
  const double* parts;
  index_t tiles, columns;
  double* to;
  __device__ void operator()(std::int64_t j) const {
    double sum = to[j];
    for (index_t tile = 0; tile < tiles; ++tile) sum += parts[tile * columns + j];
    to[j] = sum;
  }
};

// out_i = bound + log of the groups' sums of row i, in their order; −inf where a row has no partners.
struct LogOfGroups {
  const double* parts;
  int groups;
  index_t rows;
  double bound;
  double* out;
  __device__ void operator()(std::int64_t i) const {
    double sum = 0;
    for (int g = 0; g < groups; ++g) sum += parts[g * rows + i];
    out[i] = bound + log_value(sum);
  }
};

struct LargestShared {
  double of[256];
};

// to[0] is the power of two that makes the largest |weight| of both lists, which may be empty, a number from ½ to 1,
// and to[1] its inverse: weights near the least float would lose their digits in three parts.
__global__ void __launch_bounds__(256)
    unit_of_weights(const double* a, index_t size_a, const double* b, index_t size_b, double* to) {
  auto& s = simt::shared<LargestShared>();
  const int thread = threadIdx.x;
  double largest = 0;
  const auto look = [&](const double* weights, index_t size) {
    for (index_t e = thread; e < size; e += 256) {
      const double size_of_it = weights[e] < 0 ? -weights[e] : weights[e];
      largest = size_of_it > largest ? size_of_it : largest;
    }
  };
  look(a, size_a);
  look(b, size_b);
  s.of[thread] = largest;
  for (int half = 128; half > 0; half /= 2) {
    __syncthreads();
    if (thread < half && s.of[thread + half] > s.of[thread]) s.of[thread] = s.of[thread + half];
  }
  if (thread != 0) return;
  const int exponent = static_cast<int>(simt::as_bits(s.of[0]) >> 52);  // 0: none but zeros; 2047: infinity
  const int power = exponent == 0 || exponent == 2047 ? 0 : 1022 - (exponent < 2044 ? exponent : 2044);
  to[0] = power_of_two(power);
  to[1] = power_of_two(-power);
}

// What e^{t − bound} is multiplied by for a row's own sum: unit · weight · e^{bound − at}. A row of no partners has
// none.
struct Factors {
  const double *at, *weight, *unit;
  double bound;
  float* out;
  __device__ void operator()(std::int64_t i) const {
    out[i] = at[i] == -HUGE_VAL ? 0.0f : static_cast<float>(unit[0] * weight[i] * exp_value(bound - at[i]));
  }
};

// Null where nobody asks for the sums of one side.
const float* factors(const Stream& on, const double* at, const double* weight, index_t n, const double* unit,
                     double bound) {
  if (weight == nullptr) return nullptr;
  float* const out = on.memory.take<float>(n);
  for_each(on, "factors", n, Factors{at, weight, unit, bound, out});
  return out;
}

struct SplitGradientShared {
  SplitStage stage;
  SplitTileRows<tile_words> weight;  // of the tile
  RowTotals of_scale;
};

struct SplitGradient {
  SplitPairs pairs;
  SplitRows features;              // of the other set, by feature
  const float *of_own, *of_other;  // factors; null: none
  const double* unit;
  double *rows, *of_scale;  // groups × rows × m, groups × rows; of_scale null where nobody asks

  __device__ static float factor(const float* of, std::int64_t i, std::int64_t n) {
    return of == nullptr || i >= n ? 0.0f : of[i];
  }
};

// Turns scores into weights; of_scale[half] += Σ_j w_ij t_ij.
__device__ __forceinline__ void split_weights(const SplitGradient& g, int i0, int j0, const GradientTile::Numbers& t,
                                              SplitTileRows<tile_words>& weight, double (&of_scale)[2]) {
  float own[2];
#pragma unroll
  for (int half = 0; half < 2; ++half)
    own[half] = g.factor(g.of_own, i0 + GradientTile::row(0, 2 * half), g.pairs.own.rows);
#pragma unroll
  for (int x = 0; x < GradientTile::across; ++x) {
    float other[2];
#pragma unroll
    for (int i = 0; i < 2; ++i) other[i] = g.factor(g.of_other, j0 + GradientTile::column(x, i), g.pairs.other.rows);
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      float w[2];
#pragma unroll
      for (int i = 0; i < 2; ++i) {
        const int at = 2 * half + i, row = i0 + GradientTile::row(0, at), column = j0 + GradientTile::column(x, at);
        const float e = g.pairs.exponential(row, column, t[0][x][at]);
        w[i] = e == 0.0f ? 0.0f : e * (own[half] + other[i]);
        of_scale[half] = e == 0.0f ? of_scale[half] : fma(static_cast<double>(w[i]), t[0][x][at], of_scale[half]);
      }
      const SplitPair pair = split_pair(w[0], w[1]);
#pragma unroll
      for (int p = 0; p < split_parts; ++p)
        weight[p][GradientTile::row(0, 2 * half)][GradientTile::column(x, 0) / 2] = pair.part[p];
    }
  }
}

// A block owns 64 rows and 64 `tiles` columns of the features. Operations for a pair: 6 m multiply-adds by tensor cores
// for the score and 6 · 64 `tiles` for the columns, one exponential of 16. 204, 232 and 254 registers for 1, 2 and 4
// tiles, 59 392 bytes of shared memory.
template <int tiles>
__global__ void __launch_bounds__(GradientTile::threads, 1) split_gradient_rows(SplitGradient g, PairSplit shares) {
  auto& s = simt::shared<SplitGradientShared>();
  const int group = blockIdx.y, m = static_cast<int>(g.features.rows);
  const int i0 = blockIdx.x % shares.own_tiles * split_tile, c0 = blockIdx.x / shares.own_tiles * (tiles * split_tile);
  const std::int64_t n = g.pairs.own.rows;
  GradientTile::Numbers sums[tiles] = {};
  double of_scale[2] = {};
  for (int tile = shares.begin(group); tile < shares.begin(group + 1); ++tile) {
    const int j0 = tile * split_tile;
    GradientTile::Numbers t;
    split_scores<1>(g.pairs, i0, j0, s.stage, t);  // begins with a barrier: the weights before have been read
    split_weights(g, i0, j0, t, s.weight, of_scale);
#pragma unroll
    for (int c = 0; c < tiles; ++c) {
      if (c0 + c * split_tile >= m) continue;
      GradientTile products;
      for (int w = 0; w < tile_words; w += split_words) {
        __syncthreads();  // the weights are written; what was here has been read
        stage_rows<GradientTile::threads>(g.features, c0 + c * split_tile, j0 / 2 + w, s.stage.other);
        __syncthreads();
        products.add(s.weight, w, s.stage.other);
      }
      products.empty_into(sums[c]);
    }
  }
  const double inverse = g.unit[1];
#pragma unroll
  for (int c = 0; c < tiles; ++c)
#pragma unroll
    for (int x = 0; x < GradientTile::across; ++x)
#pragma unroll
      for (int i = 0; i < GradientTile::each; ++i) {
        const std::int64_t row = i0 + GradientTile::row(0, i);
        const int column = c0 + c * split_tile + GradientTile::column(x, i);
        if (row < n && column < m) g.rows[(group * n + row) * m + column] = inverse * sums[c][0][x][i];
      }
  if (g.of_scale == nullptr) return;
#pragma unroll
  for (int half = 0; half < 2; ++half) s.of_scale.put<1>(0, 2 * half, of_scale[half]);
  __syncthreads();
  const int row = threadIdx.x;
  if (row < split_tile && i0 + row < n && c0 == 0) g.of_scale[group * n + i0 + row] = inverse * s.of_scale.total(row);
}

constexpr index_t band_tiles = 64;  // of rows, whose sums of columns are kept at a time

// rows_i and, unless it is null, cols_j: the scores are computed once for both.
void sums_of(const Stream& on, const SplitPairs& pairs, double* rows, double* cols) {
  const index_t n = pairs.own.rows, m = pairs.other.rows, tiles = ceil_div(n, split_tile);
  const index_t band = cols == nullptr ? tiles : std::min(tiles, band_tiles);
  const PairSplit shares(band * split_tile, m, 1);
  double* const of_rows = on.memory.take<double>(shares.groups * n);
  double *of_tiles = nullptr, *of_columns = nullptr;
  if (cols != nullptr) {
    of_tiles = on.memory.take<double>(band * m);
    of_columns = on.memory.take<double>(m);
    for_each(on, "fill", m, Fill{0.0, of_columns});
  }
  for (index_t first = 0; first < tiles; first += band) {
    const index_t here = std::min(band, tiles - first);
    launch(on, "split_sum_rows", cols == nullptr ? split_sum_rows<false> : split_sum_rows<true>,
           dim3(static_cast<unsigned>(here), static_cast<unsigned>(shares.groups)), dim3(SumTile::threads),
           sizeof(SplitSumShared), pairs, shares, static_cast<int>(first), of_rows, of_tiles);
    if (cols != nullptr) for_each(on, "add_tiles", m, AddTiles{of_tiles, here, m, of_columns});
  }
  for_each(on, "log_of_groups", n, LogOfGroups{of_rows, shares.groups, n, pairs.bound, rows});
  if (cols != nullptr) for_each(on, "log_of_groups", m, LogOfGroups{of_columns, 1, m, pairs.bound, cols});
}

// One set's gradient; `share` of the derivative with respect to the scale is written to *of_scale, unless it is null.
void gradient(const Stream& on, SplitGradient g, double scale, View<float> out, double share, double* of_scale) {
  const index_t n = g.pairs.own.rows, m = g.features.rows;
  const int tiles = m <= split_tile ? 1 : m <= 2 * split_tile ? 2 : 4;
  const PairSplit shares(n, g.pairs.other.rows, std::max<index_t>(ceil_div(m, tiles * split_tile), 1));
  g.rows = on.memory.take<double>(shares.groups * n * m);
  g.of_scale = of_scale == nullptr ? nullptr : on.memory.take<double>(shares.groups * n);
  const auto rows = tiles == 1 ? split_gradient_rows<1> : tiles == 2 ? split_gradient_rows<2> : split_gradient_rows<4>;
  launch(on, "split_gradient_rows", rows, shares.grid(), dim3(GradientTile::threads), sizeof(SplitGradientShared), g,
         shares);
  add_in_order(on, g.rows, shares.groups, n, m, scale, out.data, out.stride);
  if (of_scale != nullptr)
    launch(on, "add_all", add_all<double>, dim3(1), dim3(256), sizeof(AddAllShared),
           static_cast<const double*>(g.of_scale), shares.groups * n, share, of_scale);
}

}  // namespace

void split_log_sums(const Stream& on, const Pairs<float>& pairs, double* rows, double* cols) {
  const bool one_set = pairs.right.data == nullptr;
  const SplitRows left = by_sample(on, pairs.left), right = one_set ? left : by_sample(on, pairs.right);
  sums_of(on, {owned_by_left(pairs), left, right, score_bound(pairs)}, rows, cols);
}

void split_log_sums_gradient(const Stream& on, const Pairs<float>& pairs, const double* rows, const double* cols,
                             const double* a, const double* b, View<float> left, View<float> right, double* of_scale) {
  const bool one_set = pairs.right.data == nullptr;
  const View<const float> others = one_set ? pairs.left : pairs.right;
  const SplitRows of_left = by_sample(on, pairs.left), of_right = one_set ? of_left : by_sample(on, others);
  const double bound = score_bound(pairs);
  double* const unit = on.memory.take<double>(2);
  launch(on, "unit_of_weights", unit_of_weights, dim3(1), dim3(256), sizeof(LargestShared), a, pairs.left.rows, b,
         b == nullptr ? 0 : others.rows, unit);
  const float* const of_rows = factors(on, rows, a, pairs.left.rows, unit, bound);
  const float* const of_cols = one_set ? of_rows : factors(on, cols, b, others.rows, unit, bound);
  // One set: every pair is counted from both of its ends.
  gradient(on,
           {{owned_by_left(pairs), of_left, of_right, bound},
            by_feature(on, others),
            of_rows,
            of_cols,
            unit,
            nullptr,
            nullptr},
           pairs.scale, left, one_set ? 0.5 : 1.0, of_scale);
  if (right.data != nullptr)
    gradient(on,
             {{owned_by_right(pairs), of_right, of_left, bound},
              by_feature(on, pairs.left),
              of_cols,
              of_rows,
              unit,
              nullptr,
              nullptr},
             pairs.scale, right, 1.0, nullptr);
}

}  // namespace alphacl::cuda
