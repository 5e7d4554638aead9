// Floats as three bfloat16 each: nothing is lost, and products err as the model of a tensor core says they do.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "pairs/pair_sums.h"
#include "pairs/split_pairs.h"
#include "sums/split_tile.h"
#include "tests/testing.h"

namespace {

using alphacl::cuda::split_parts;
using alphacl::cuda::split_tile;
using alphacl::cuda::split_words;
using alphacl::cuda::SplitRows;
using alphacl::cuda::SplitTileRows;
using alphacl::cuda::SplitWord;
using testing::Array;
using testing::expect;

// words: parts × rows × width, of x (rows × 2 width).
__global__ void split(const float* x, int count, SplitWord* words) {
  for (int e = threadIdx.x; e < count; e += 256) {
    const auto pair = alphacl::cuda::split_pair(x[2 * e], x[2 * e + 1]);
    for (int p = 0; p < split_parts; ++p) words[p * count + e] = pair.part[p];
  }
}

float number(SplitWord word, bool upper) {
  const SplitWord bits = upper ? word & 0xffff0000u : word << 16;
  float x;
  std::memcpy(&x, &bits, sizeof x);
  return x;
}

// The sum of the parts of x, and the first of them: x rounded to 8 bits.
void test_parts() {
  constexpr int count = 4096;
  const Array<float> x(2 * count);
  const Array<SplitWord> words(split_parts * count);
  std::uint64_t seed = 3;
  for (int e = 0; e < 2 * count; ++e)
    x[e] = static_cast<float>(std::ldexp(testing::next(seed), static_cast<int>(60 * testing::next(seed))));
  x[0] = 0, x[1] = 1, x[2] = -1, x[3] = 1 + 0x1p-23f, x[4] = 2 - 0x1p-23f, x[5] = 1 + 0x1p-8f, x[6] = 1 + 0x1.8p-8f;
  x[8] = NAN, x[11] = NAN, x[13] = INFINITY;
  testing::launch(split, 1, 256, 0, x.data(), count, words.data());
  bool same = true, rounded = true;
  for (int e = 0; e < 2 * count; ++e) {
    double sum = 0;
    for (int p = 0; p < split_parts; ++p) sum += number(words[p * count + e / 2], e % 2 != 0);
    same = same && (std::isfinite(x[e]) ? sum == x[e] : std::isnan(sum));
    if (std::isfinite(x[e]))
      rounded = rounded && std::fabs(number(words[e / 2], e % 2 != 0) - x[e]) <= std::fabs(x[e]) * 0x1p-8f;
  }
  expect(same, "three parts make up a float, not a number stays none");
  expect(rounded, "the first part is rounded");
}

struct Stage {
  SplitTileRows<split_words> left, right;
};

// out (64 × 64) = left · rightᵀ, from the row `first` on, in chains of 64.
template <int down>
__global__ void multiply(SplitRows left, SplitRows right, int first, double* out) {
  using Tile = alphacl::cuda::SplitTile<down>;
  auto& s = simt::shared<Stage>();
  Tile tile;
  typename Tile::Numbers sum = {};
  for (int w = 0; w < left.width; w += split_words) {
    __syncthreads();
    alphacl::cuda::stage_rows<Tile::threads>(left, first, w, s.left);
    alphacl::cuda::stage_rows<Tile::threads>(right, first, w, s.right);
    __syncthreads();
    tile.add(s.left, 0, s.right);
    if (w % 32 != 0) tile.empty_into(sum);
  }
  tile.empty_into(sum);
  for (int y = 0; y < down; ++y)
    for (int x = 0; x < Tile::across; ++x)
      for (int i = 0; i < Tile::each; ++i) out[Tile::row(y, i) * split_tile + Tile::column(x, i)] = sum[y][x][i];
}

// Whether both shapes of warps give the same bits, in `out`.
bool multiply_both(SplitRows left, SplitRows right, int first, const Array<double>& out) {
  const Array<double> other(out.size());
  testing::launch(multiply<1>, 1, 256, sizeof(Stage), left, right, first, out.data());
  testing::launch(multiply<2>, 1, 128, sizeof(Stage), left, right, first, other.data());
  return std::equal(out.data(), out.data() + out.size(), other.data());
}

// The largest error of a product, of Σ |x y|. x(e), y(e): numbers of 64 rows of k.
template <class X>
double error_of_products(int k, X&& number_of, bool same_rows) {
  const int width = k / 2, count = split_tile * width;
  const Array<float> x(2 * count), y(2 * count);
  const Array<SplitWord> left(split_parts * count), right(split_parts * count);
  const Array<double> out(split_tile * split_tile);
  std::uint64_t seed = 5;
  for (int e = 0; e < 2 * count; ++e) x[e] = number_of(seed, e % k);
  for (int e = 0; e < 2 * count; ++e) y[e] = same_rows ? x[e] : number_of(seed, e % k);
  testing::launch(split, 1, 256, 0, x.data(), count, left.data());
  testing::launch(split, 1, 256, 0, y.data(), count, right.data());
  const SplitRows rows{left.data(), split_tile, width}, columns{right.data(), split_tile, width};
  double worst = multiply_both(rows, columns, 0, out) ? 0 : HUGE_VAL;
  for (int i = 0; i < split_tile; ++i)
    for (int j = 0; j < split_tile; ++j) {
      long double sum = 0, size = 0;
      for (int c = 0; c < k; ++c) {
        const long double product = static_cast<long double>(x[i * k + c]) * y[j * k + c];
        sum += product;
        size += std::fabs(product);
      }
      worst = std::max(worst, static_cast<double>(std::fabs(out[i * split_tile + j] - sum) / size));
    }
  testing::print_bits("products", out);
  return worst;
}

void check_products(double worst, double most, const char* what) {
  if (!expect(worst <= most, what)) std::printf("     off by %.3g\n", worst);
}

void test_products() {
  const auto sign = [](std::uint64_t& seed, int) { return static_cast<float>(testing::next(seed)); };
  const auto square = [](std::uint64_t& seed, int) { return static_cast<float>(std::fabs(testing::next(seed))); };
  const auto equal = [](std::uint64_t&, int) { return 0.1f; };
  const auto one_is_large = [](std::uint64_t& seed, int c) {
    return static_cast<float>(c % 16 == 0 ? 1 : 0x1p-7 * (1 + std::fabs(testing::next(seed))));
  };
  check_products(error_of_products(192, sign, false), 0x1p-23, "products of numbers of any sign");
  check_products(error_of_products(32, square, true), 0x1p-22, "squares");
  check_products(error_of_products(256, equal, true), 0x1p-22, "equal numbers");
  check_products(error_of_products(64, one_is_large, true), 0x1p-21, "one large number among small ones");
}

// Rows beyond the last are zeros, and the first ones are where they begin.
void test_edge() {
  constexpr int rows = 70, width = 16;
  const Array<float> x(rows * 2 * width);
  const Array<SplitWord> words(split_parts * rows * width);
  const Array<double> out(split_tile * split_tile);
  testing::fill_with_integers(x, 3);
  testing::launch(split, 1, 256, 0, x.data(), rows * width, words.data());
  const SplitRows all{words.data(), rows, width};
  bool same = multiply_both(all, all, 64, out);
  for (int i = 0; i < split_tile; ++i)
    for (int j = 0; j < split_tile; ++j) {
      double sum = 0;
      for (int c = 0; c < 2 * width && i < rows - 64 && j < rows - 64; ++c)
        sum += static_cast<double>(x[(64 + i) * 2 * width + c]) * x[(64 + j) * 2 * width + c];
      same = same && out[i * split_tile + j] == sum;
    }
  expect(same, "the last rows");
}

// More rows than one band has: the sums of the columns go on from band to band.
void test_bands() {
  constexpr int n = 4100, others = 5, m = 3;
  const Array<float> left(n * m), right(others * m);
  const Array<double> rows(n), cols(others);
  std::uint64_t seed = 9;
  const auto fill = [&](const Array<float>& f) {
    for (std::size_t e = 0; e < f.size(); ++e) f[e] = static_cast<float>(testing::next(seed) / 2);
  };
  fill(left);
  fill(right);
  const alphacl::Pairs<float> pairs{{left.data(), n, m, m}, {right.data(), others, m, m}, 7, false, true, 0.9};
  testing::Memory memory;
  alphacl::cuda::pair_log_sums<float>({nullptr, memory}, pairs, rows.data(), cols.data());
  testing::finish();
  std::vector<long double> of_rows(n), of_cols(others);
  for (int i = 0; i < n; ++i)
    for (int j = 0; j < others; ++j) {
      long double t = 0;
      for (int c = 0; c < m; ++c) t += static_cast<long double>(left[i * m + c]) * right[j * m + c];
      if (i == j) continue;
      of_rows[i] += expl(7 * t);
      of_cols[j] += expl(7 * t);
    }
  bool right_sums = true;
  for (int i = 0; i < n; ++i) right_sums = right_sums && std::fabs(rows[i] - logl(of_rows[i])) < 1e-6L;
  for (int j = 0; j < others; ++j) right_sums = right_sums && std::fabs(cols[j] - logl(of_cols[j])) < 1e-6L;
  expect(alphacl::cuda::scores_are_split(pairs) && right_sums, "log-sums of rows and columns, in bands of rows");
  testing::print_bits("bands, rows", rows);
  testing::print_bits("bands, columns", cols);
}

}  // namespace

int main() {
  test_parts();
  test_products();
  test_edge();
  test_bands();
  return testing::failures;
}
