// The products of tensor cores: fragments as PTX documents them, and sums as an H100 rounds them.
//
// The layouts are those of the PTX ISA, sections "Matrix Fragments for mma.m16n8k8" (.tf32), "Matrix Fragments for
// mma.m16n8k16 with floating point type" (.bf16) and "Matrix Fragments for mma.m8n8k4 with .f64 floating point type"; g
// is %laneid >> 2, its groupID, and t is %laneid % 4, its threadID_in_group. They are written here as the manual has
// them, apart from the code that they test.
#include <cmath>

#include "tests/testing.h"

namespace {

using testing::Array;

struct Position {
  int row, column;
};

// The i-th number of a lane, out of a (16 x k), b (k x 8) and of the result (16 x 8).
struct Tf32 {
  static constexpr int k = 8, in_a = 4, in_b = 2, in_word = 1;
  static Position a(int g, int t, int i) { return {i == 0 || i == 2 ? g : g + 8, i == 0 || i == 1 ? t : t + 4}; }
  static Position b(int g, int t, int i) { return {i == 0 ? t : t + 4, g}; }
};

struct Bf16 {
  static constexpr int k = 16, in_a = 8, in_b = 4, in_word = 2;
  static Position a(int g, int t, int i) {
    return {(0 <= i && i < 2) || (4 <= i && i < 6) ? g : g + 8, i < 4 ? t * 2 + (i & 1) : t * 2 + (i & 1) + 8};
  }
  static Position b(int g, int t, int i) { return {i < 2 ? t * 2 + (i & 1) : t * 2 + (i & 1) + 8, g}; }
};

Position of_result(int g, int t, int i) { return {i < 2 ? g : g + 8, t * 2 + (i & 1)}; }

template <class Type>
__global__ void multiply(const std::uint32_t* a, const std::uint32_t* b, float* d) {
  const int lane = threadIdx.x;
  std::uint32_t mine_a[4], mine_b[2];
  float mine[4];
  for (int i = 0; i < 4; ++i) mine_a[i] = a[lane * 4 + i];
  for (int i = 0; i < 2; ++i) mine_b[i] = b[lane * 2 + i];
  for (int i = 0; i < 4; ++i) mine[i] = d[lane * 4 + i];
  if constexpr (Type::in_word == 1)
    simt::mma_tf32(mine, mine_a, mine_b);
  else
    simt::mma_bf16(mine, mine_a, mine_b);
  for (int i = 0; i < 4; ++i) d[lane * 4 + i] = mine[i];
}

__global__ void round_to_tf32(const float* x, std::uint32_t* bits) {
  bits[threadIdx.x] = simt::to_tf32(x[threadIdx.x]);
}

std::uint32_t bits_of(float x) {
  std::uint32_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  return bits;
}

// The words of a fragment with the numbers of `matrix`, whose rows have `columns` numbers.
template <class Type, class Where>
void pack(const Array<float>& matrix, int columns, int in_lane, Where where, const Array<std::uint32_t>& words) {
  for (std::size_t w = 0; w < words.size(); ++w) words[w] = 0;
  for (int lane = 0; lane < 32; ++lane)
    for (int i = 0; i < in_lane; ++i) {
      const Position at = where(lane >> 2, lane % 4, i);
      const std::uint32_t bits = bits_of(matrix[at.row * columns + at.column]);
      words[(lane * in_lane + i) / Type::in_word] |= Type::in_word == 1 ? bits : i % 2 == 0 ? bits >> 16 : bits;
    }
}

// The number of d (16 x 8) that is the i-th of a lane.
float& in_result(const Array<float>& d, int lane, int i) {
  const Position at = of_result(lane >> 2, lane % 4, i);
  return d[at.row * 8 + at.column];
}

// d (16 x 8) += a b by one warp.
template <class Type>
void multiply_by_warp(const Array<float>& a, const Array<float>& b, const Array<float>& d) {
  const Array<std::uint32_t> words_a(32 * 4), words_b(32 * 2);
  const Array<float> words_d(32 * 4);
  pack<Type>(a, Type::k, Type::in_a, Type::a, words_a);
  pack<Type>(b, 8, Type::in_b, Type::b, words_b);
  for (int w = 0; w < 32 * 4; ++w) words_d[w] = in_result(d, w / 4, w % 4);
  testing::launch(multiply<Type>, 1, 32, 0, words_a.data(), words_b.data(), words_d.data());
  for (int w = 0; w < 32 * 4; ++w) in_result(d, w / 4, w % 4) = words_d[w];
}

template <class Type>
void test_layout(const char* what) {
  const Array<float> a(16 * Type::k), b(Type::k * 8), d(16 * 8), want(16 * 8);
  testing::fill_with_integers(a, 3);
  testing::fill_with_integers(b, 4);
  testing::fill_with_integers(d, 5);
  for (int i = 0; i < 16; ++i)
    for (int j = 0; j < 8; ++j) {
      want[i * 8 + j] = d[i * 8 + j];
      for (int k = 0; k < Type::k; ++k) want[i * 8 + j] += a[i * Type::k + k] * b[k * 8 + j];
    }
  multiply_by_warp<Type>(a, b, d);
  bool same = true;
  for (int i = 0; i < 16 * 8; ++i) same = same && d[i] == want[i];
  testing::expect(same, what);
  testing::print_bits(what, d);
}

// c + sum of `count` equal products, in entry (0, 0).
template <class Type>
float sum_of_products(float c, float product, int count) {
  const Array<float> a(16 * Type::k), b(Type::k * 8), d(16 * 8);
  for (int i = 0; i < 16 * Type::k; ++i) a[i] = i < count ? product : 0.f;
  for (int i = 0; i < Type::k * 8; ++i) b[i] = 1;
  for (int i = 0; i < 16 * 8; ++i) d[i] = c;
  multiply_by_warp<Type>(a, b, d);
  return d[0];
}

// ulp is that of 1. See simt/tensor_core.h for the source.
template <class Type>
void test_rounding(const char* exact, const char* cut, const char* special) {
  const float ulp = std::ldexp(1.f, -23);
  testing::expect(sum_of_products<Type>(1, ulp / 4, 8) == 1 + 2 * ulp, exact);
  const bool sum_is_cut = sum_of_products<Type>(1, ulp * 0.75f, 1) == 1 && sum_of_products<Type>(-1, -ulp / 2, 1) == -1;
  testing::expect(sum_is_cut && sum_of_products<Type>(1, ulp / 8, 8) == 1, cut);
  const float infinite = sum_of_products<Type>(INFINITY, 1, 8), invalid = sum_of_products<Type>(-INFINITY, INFINITY, 1);
  testing::expect(infinite == INFINITY && std::isnan(invalid) && sum_of_products<Type>(0, 0, 8) == 0, special);
}

void test_to_tf32() {
  const float ulp = std::ldexp(1.f, -10);
  const float x[8] = {1, 1 + ulp, 1 + ulp / 2, -1 - ulp / 2, 1 + ulp * 0.49f, 1 + ulp * 1.5f, INFINITY, 0};
  const float want[8] = {1, 1 + ulp, 1 + ulp, -1 - ulp, 1, 1 + 2 * ulp, INFINITY, 0};
  const Array<float> in(8);
  const Array<std::uint32_t> bits(8);
  for (int i = 0; i < 8; ++i) in[i] = x[i];
  testing::launch(round_to_tf32, 1, 8, 0, in.data(), bits.data());
  bool right = true;
  for (int i = 0; i < 8; ++i) right = right && bits[i] == bits_of(want[i]);
  testing::expect(right, "to_tf32 rounds to nearest, ties away from zero");
  testing::expect(sum_of_products<Tf32>(0, 1 + ulp * 0.99f, 1) == 1, "tf32: a product does not read the last 13 bits");
}

// d (16 x 8) += a (16 x 4) b (4 x 8): two fragments above each other.
__global__ void multiply_doubles(const double* a, const double* b, double* d) {
  const int lane = threadIdx.x, g = lane >> 2, t = lane % 4;
  double mine[2][1][2];
  for (int y = 0; y < 2; ++y)
    for (int i = 0; i < 2; ++i) mine[y][0][i] = d[(8 * y + g) * 8 + t * 2 + i];
  const double left[2] = {a[g * 4 + t], a[(8 + g) * 4 + t]}, right[1] = {b[t * 8 + g]};
  simt::mma_f64(mine, left, right);
  for (int y = 0; y < 2; ++y)
    for (int i = 0; i < 2; ++i) d[(8 * y + g) * 8 + t * 2 + i] = mine[y][0][i];
}

// Numbers whose products and sums round: another order, or a product that is rounded, has other bits.
void test_doubles() {
  const Array<double> a(16 * 4), b(4 * 8), d(16 * 8), want(16 * 8);
  std::uint64_t seed = 7;
  for (std::size_t e = 0; e < a.size(); ++e) a[e] = testing::next(seed);
  for (std::size_t e = 0; e < b.size(); ++e) b[e] = testing::next(seed);
  for (std::size_t e = 0; e < d.size(); ++e) d[e] = testing::next(seed);
  a[0] = b[0] = 0x1p30;  // of entry (0, 0) the first product is the largest, of (1, 1) the last
  a[1 * 4 + 3] = b[3 * 8 + 1] = 0x1p30;
  a[2 * 4 + 1] = INFINITY;
  b[2 * 8 + 3] = NAN;
  for (int i = 0; i < 16; ++i)
    for (int j = 0; j < 8; ++j) {
      double sum = d[i * 8 + j];
      for (int k = 0; k < 4; ++k) sum = fma(a[i * 4 + k], b[k * 8 + j], sum);
      want[i * 8 + j] = sum;
    }
  testing::launch(multiply_doubles, 1, 32, 0, a.data(), b.data(), d.data());
  bool same = true;
  for (int e = 0; e < 16 * 8; ++e) same = same && (d[e] == want[e] || (std::isnan(d[e]) && std::isnan(want[e])));
  testing::expect(same, "m8n8k4 f64: the fragments of the PTX ISA, one fma after the other");
  testing::print_bits("m8n8k4 f64", d);
}

}  // namespace

int main() {
  test_doubles();
  test_layout<Tf32>("m16n8k8 tf32: the fragments of the PTX ISA");
  test_layout<Bf16>("m16n8k16 bf16: the fragments of the PTX ISA");
  test_rounding<Tf32>("tf32: a quarter of a last bit counts in a sum", "tf32: sums are cut, smaller terms are lost",
                      "tf32: infinities, NaN, nothing but zeros");
  test_rounding<Bf16>("bf16: a quarter of a last bit counts in a sum", "bf16: sums are cut, smaller terms are lost",
                      "bf16: infinities, NaN, nothing but zeros");
  test_to_tf32();
  return testing::failures;
}
