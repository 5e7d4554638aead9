// The products of tensor cores on the CPU: the fragments that PTX documents, and sums as an H100 rounds them.
//
// Those in double are IEEE ones: PTX says that products and sums have the precision of a fused multiply-add, and the
// bit-accurate model of Xie et al. (MMA-Sim, arXiv 2511.10909) takes one after the other, k = 0 … 3 from c, on an A100
// and an H100. We have not seen a GPU do it: bits of kernels that use them wait for one.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "simt/machine.h"

namespace simt {

/// x rounded to tf32: to nearest, ties away from zero.
inline std::uint32_t to_tf32(float x) { return std::isfinite(x) ? (as_bits(x) + 0x1000u) & ~0x1fffu : as_bits(x); }

/// The exponent of x; far below any sum of two for 0, far above for infinity and NaN.
inline int exponent_of(float x) {
  const int biased = static_cast<int>(as_bits(x) >> 23 & 0xff);
  if (biased == 255) return 100000;
  return biased != 0 ? biased - 127 : x == 0 ? -10000 : std::ilogb(x);
}

/// A row or a column of a product.
template <int K>
struct Factors {
  float x[K];
  int exponent[K];
};

/// 2^k of a normal double.
inline double double_power(int k) { return as_double(static_cast<std::uint64_t>(k + 1023) << 52); }

/// c + sum a_k b_k as a tensor core of an H100 adds it (Khattak and Mikaitis, MATLAB-tensor-core, models/H100TC.m):
/// exact products and c are aligned to the largest exponent, cut (not rounded) two bits below the last of a float and
/// added; the sum is cut to a float.
template <int K>
SIMT_QUIET float tensor_core_sum(float c, const Factors<K>& a, const Factors<K>& b) {
  int top = exponent_of(c);
  for (int k = 0; k < K; ++k) top = std::max(top, a.exponent[k] + b.exponent[k]);
  if (top > 1000 || top < -1000) {  // not a number, or nothing but zeros
    double sum = c;
    for (int k = 0; k < K; ++k) sum += static_cast<double>(a.x[k]) * b.x[k];
    return static_cast<float>(sum);
  }
  top = std::max(top, -133);
  const double unit = double_power(25 - top);
  std::int64_t sum = static_cast<std::int64_t>(c * unit);  // conversion cuts
  for (int k = 0; k < K; ++k) sum += static_cast<std::int64_t>(static_cast<double>(a.x[k]) * b.x[k] * unit);
  const std::int64_t size = sum < 0 ? -sum : sum;
  int more = 0;  // bits than a float has
  while (size >> more >= std::int64_t{1} << 24) ++more;
  const double cut = static_cast<double>(size >> more << more) * double_power(top - 25);
  return static_cast<float>(sum < 0 ? -cut : cut);
}

/// The number in a word of a fragment. K = 8: a tf32; K = 16: the lower or the upper one of two bf16.
template <int K>
SIMT_QUIET float fragment_number(std::uint32_t word, unsigned upper) {
  return as_float(K == 8 ? word & ~0x1fffu : (upper != 0 ? word & 0xffff0000u : word << 16));
}

/// d (16 x 8) += a (16 x K) b (K x 8) by the lanes of a warp. What these functions are given is the thread's own: they
/// are not watched.
template <int K>
SIMT_QUIET void multiply_fragments(float (&d)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[2],
                                   Place place) {
  const std::uint32_t mine[6] = {a[0], a[1], a[2], a[3], b[0], b[1]};
  const Deposits& all = collect(~0u, mine, 6, place);
  const unsigned group = lane() / 4, in_group = lane() % 4;
  Factors<K> x[2], y[2];  // of two rows and of two columns
  for (unsigned k = 0; k < K; ++k) {
    // K = 8: pairs of words hold k and k + 4; K = 16: a word holds two neighbours, pairs of words k and k + 8.
    const unsigned high = k / (K / 2), in_half = k % (K / 2), from = K == 8 ? in_half : in_half / 2;
    for (unsigned i = 0; i < 2; ++i) {
      x[i].x[k] = fragment_number<K>(all[group * 4 + from][i + 2 * high], in_half % 2);
      y[i].x[k] = fragment_number<K>(all[(in_group * 2 + i) * 4 + from][4 + high], in_half % 2);
      x[i].exponent[k] = exponent_of(x[i].x[k]);
      y[i].exponent[k] = exponent_of(y[i].x[k]);
    }
  }
  for (unsigned i = 0; i < 4; ++i) d[i] = tensor_core_sum<K>(d[i], x[i / 2], y[i % 2]);
}

/// d (16 x 8) += a (16 x 8) b (8 x 8), in the fragments of mma.m16n8k8.
inline void mma_tf32(float (&d)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[2],
                     Place place = Place::here()) {
  multiply_fragments<8>(d, a, b, place);
}

/// d (16 x 8) += a (16 x 16) b (16 x 8), in the fragments of mma.m16n8k16: two bf16 in a word.
inline void mma_bf16(float (&d)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[2],
                     Place place = Place::here()) {
  multiply_fragments<16>(d, a, b, place);
}

/// d[y][x] (8 x 8) += a[y] (8 x 4) b[x] (4 x 8) in double, in the fragments of mma.m8n8k4: a lane has the number a of
/// row lane/4 and column lane%4, b of row lane%4 and column lane/4, d of row lane/4 and columns 2 (lane%4) and the
/// next. Here all products of a call are one collective.
template <int Y, int X>
SIMT_QUIET void mma_f64(double (&d)[Y][X][2], const double (&a)[Y], const double (&b)[X], Place place = Place::here()) {
  static_assert(2 * (Y + X) <= most_words, "a lane deposits all of its numbers at once");
  std::uint32_t mine[2 * (Y + X)];
  std::memcpy(mine, a, sizeof a);
  std::memcpy(mine + 2 * Y, b, sizeof b);
  const Deposits& all = collect(~0u, mine, 2 * (Y + X), place);
  const unsigned row = lane() / 4, column = lane() % 4 * 2;
  for (unsigned k = 0; k < 4; ++k) {
    double left[Y], right[2][X];
    std::memcpy(left, all[row * 4 + k], sizeof left);
    for (unsigned i = 0; i < 2; ++i) std::memcpy(right[i], all[(column + i) * 4 + k] + 2 * Y, sizeof right[i]);
    for (int y = 0; y < Y; ++y)
      for (int x = 0; x < X; ++x)
        for (unsigned i = 0; i < 2; ++i) d[y][x][i] = std::fma(left[y], right[i][x], d[y][x][i]);
  }
}

}  // namespace simt
